// What lies beside a picture model's networks: another autoencoder, the tokenizer, the noise schedule.

import Formats
import Foundation
import Tokenizers

extension PicturePart<AutoencoderConfig> {
    /// An autoencoder of its own: its folder, the folder of a whole model, or a file.
    ///
    /// - Parameter own: the model's own, by whose scale the UNet knows latents; a file does not tell its scale.
    init(other url: URL, insteadOf own: AutoencoderConfig?) throws {
        let scale = own?.scalingFactor ?? AutoencoderConfig.usualScalingFactor
        let nested = url.appendingPathComponent("vae", isDirectory: true), parent = url.deletingLastPathComponent()
        let config = parent.appendingPathComponent("config.json").path
        if url.isFolder {
            self = try .init(autoencoder: nested.isFolder ? nested : url)
        } else if url.lastPathComponent.hasPrefix("diffusion_pytorch_model."),
            FileManager.default.fileExists(atPath: config)
        {
            self = try .init(autoencoder: parent)  // a folder's weights, whose scale its configuration tells
        } else {
            self = try PictureFile(url).autoencoder(scale: scale)
        }
        guard self.config.scalingFactor == scale else {
            throw ModelError.config(
                file: path,
                problem:
                    "a VAE whose latents are scaled by \(self.config.scalingFactor), those of this model by \(scale); "
                    + "use one made for the same family of models")
        }
    }
}

// MARK: - Noise

extension PictureFolder {
    func noise() throws -> (NoiseScheduleConfig, files: [URL]) {
        let file = url.appendingPathComponent("scheduler/scheduler_config.json")
        return (try NoiseScheduleConfig(file: file), [file])
    }
}

extension PictureFile {
    /// That of all models of the original code, and the file beside it that was asked, if any.
    func noise(_ kind: PictureBase.Kind) -> (NoiseScheduleConfig, files: [URL]) {
        var noise = NoiseScheduleConfig()
        (noise.stepsOffset, noise.setsAlphaToOne, noise.timestepSpacing) = (1, false, .leading)
        noise.rescalesToZeroSNR = tensors["ztsnr"] != nil
        if let told = metadata["modelspec.prediction_type"] {
            noise.prediction = told.hasPrefix("v") ? .velocity : .epsilon
        } else if tensors["v_pred"] != nil {
            noise.prediction = .velocity
        } else if let told = parameterization {
            noise.prediction = told == "v" ? .velocity : .epsilon
            return (noise, [yaml])
        } else if kind == .stableDiffusion2, integers["global_step"] != 875_000 {
            noise.prediction = .velocity
        }
        return (noise, [])
    }

    /// The original code's configuration, which some put beside the file.
    private var yaml: URL { url.deletingPathExtension().appendingPathExtension("yaml") }

    /// `parameterization: "v"` of that configuration.
    private var parameterization: String? {
        let lines = (try? String(contentsOf: yaml, encoding: .utf8))?.split(whereSeparator: \.isNewline) ?? []
        let line = lines.lazy.map { $0.drop(while: \.isWhitespace) }.first { $0.hasPrefix("parameterization:") }
        return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces.union(.init(charactersIn: "\"'")))
    }
}

// MARK: - Tokenizer

/// Where the tokenizer of a picture model is.
enum TokenizerPlace: Sendable {
    case folder(URL)
    /// A `tokenizer.json` under another name.
    case file(URL)
    /// Nowhere beside this file.
    case missing(URL)

    /// What lies beside a single file: for it alone, for its folder, or loose.
    static func beside(_ url: URL) -> TokenizerPlace {
        let parent = url.deletingLastPathComponent()
        let own = url.deletingPathExtension().appendingPathExtension("tokenizer.json")
        if FileManager.default.fileExists(atPath: own.path) { return .file(own) }
        let folder = parent.appendingPathComponent("tokenizer", isDirectory: true)
        if folder.isFolder { return .folder(folder) }
        let isLoose = ["tokenizer.json", "vocab.json"].contains {
            FileManager.default.fileExists(atPath: parent.appendingPathComponent($0).path)
        }
        return isLoose ? .folder(parent) : .missing(url)
    }

    /// The files that decide which tokens a text has.
    var files: [URL] {
        switch self {
        case .folder(let folder):
            Tokenizer.fileNames.map { folder.appendingPathComponent($0) }
                .filter { FileManager.default.fileExists(atPath: $0.path) }
        case .file(let file): [file]
        case .missing: []
        }
    }

    /// - Parameter padding: what fills rows up where the files do not say.
    func load(padding: String?) throws -> CLIPTokenizer {
        switch self {
        case .folder(let folder): return try CLIPTokenizer(folder: folder, padding: padding)
        case .file(let file): return try CLIPTokenizer(file: file, padding: padding)
        case .missing(let url):
            let stem = url.deletingPathExtension().lastPathComponent
            throw ModelError.config(
                file: url.path,
                problem: "a single file holds no tokenizer; put CLIP's vocab.json and merges.txt into a folder "
                    + "'tokenizer' beside it, or its tokenizer.json there as '\(stem).tokenizer.json'")
        }
    }
}
