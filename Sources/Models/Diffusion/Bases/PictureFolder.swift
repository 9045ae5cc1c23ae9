// A diffusers folder: each network in a folder of its own, with its configuration.
//
// Old names of the autoencoder's attention are those that
// https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/modeling_utils.py converts.

import Formats
import Foundation

/// The parts of a diffusers folder.
struct PictureFolder {
    let url: URL

    private struct Index: Decodable {
        let _className: String?
    }

    /// Refuses what is not a folder of Stable Diffusion 1 or 2, before anything else is read.
    init(_ url: URL) throws {
        self.url = url
        let index = url.appendingPathComponent("model_index.json")
        let exists = FileManager.default.fileExists(atPath: index.path)
        let name = exists ? try ModelFile.decode(Index.self, index)._className : nil
        let others = ["StableDiffusionXL", "StableDiffusion3"]
        if let name, !name.hasPrefix("StableDiffusion") || others.contains(where: name.hasPrefix) {
            throw ModelError.config(
                file: index.path, problem: "a \(name), which is not read; use a Stable Diffusion 1.x or 2.x model")
        }
        for part in ["unet", "text_encoder"] { _ = try folder(part) }
    }

    /// The folder of a part, which must be there.
    private func folder(_ part: String) throws -> URL {
        let folder = url.appendingPathComponent(part, isDirectory: true)
        if folder.isFolder { return folder }
        if case .huggingFace? = try? ModelLocation.identify(url) {
            throw ModelError.config(file: url.path, problem: "a text model; name a Stable Diffusion 1.x or 2.x model")
        }
        throw ModelError.config(
            file: url.path,
            problem: "has no folder '\(part)'; name a diffusers folder with unet/, vae/ and text_encoder/, or a file")
    }

    func unet() throws -> PicturePart<UNetConfig> { try .init(unet: folder("unet")) }

    func textEncoder() throws -> PicturePart<CLIPTextConfig> { try .init(textEncoder: folder("text_encoder")) }

    func autoencoder() throws -> PicturePart<AutoencoderConfig> { try .init(autoencoder: folder("vae")) }
}

extension PicturePart {
    /// - Parameter name: the key of a stored tensor, or nil for one that is not needed.
    fileprivate init(
        _ folder: URL, _ config: (URL) throws -> Config, stem: String = "diffusion_pytorch_model",
        pickles: String = "diffusion_pytorch_model", name: (String) -> String?
    ) throws {
        let file = folder.appendingPathComponent("config.json")
        let config = try config(file)
        let stored = try SafetensorsFolder(folder, stem: stem, variants: ["fp16", "bf16"], pickles: pickles)
        let tensors = try stored.tensors.renamed(in: folder.path) { name($0).map { [$0] } ?? [] }
        self.init(config: config, files: [file] + stored.files.map(\.url), tensors: tensors, path: folder.path)
    }
}

extension PicturePart<UNetConfig> {
    /// The `unet` of a diffusers folder.
    init(unet folder: URL) throws { try self.init(folder, UNetConfig.init(file:)) { $0 } }
}

extension PicturePart<AutoencoderConfig> {
    /// The `vae` of a diffusers folder.
    init(autoencoder folder: URL) throws {
        try self.init(folder, AutoencoderConfig.init(file:), name: DiffusersNames.autoencoder)
    }
}

extension PicturePart<CLIPTextConfig> {
    /// The `text_encoder` of a diffusers folder.
    init(textEncoder folder: URL) throws {
        try self.init(
            folder, CLIPTextConfig.init(file:), stem: "model", pickles: "pytorch_model", name: DiffusersNames.text)
    }
}

extension URL {
    /// Whether a folder is there.
    var isFolder: Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}

/// Names of stored tensors that depend on the version that wrote them.
enum DiffusersNames {
    /// What the autoencoder's attention was called before diffusers 0.17.
    private static let old = [
        "query": ["to_q"], "key": ["to_k"], "value": ["to_v"], "proj_attn": ["to_out", "0"],
    ]

    /// `encoder.mid_block.attentions.0.query.weight` → `encoder.mid_block.attentions.0.to_q.weight`.
    static func autoencoder(_ name: String) -> String {
        guard name.contains(".attentions.") else { return name }
        return name.split(separator: ".").map(String.init).flatMap { old[$0] ?? [$0] }.joined(separator: ".")
    }

    /// Transformers 5 leaves out the prefix; files before its version 4.31 hold the positions' numbers.
    static func text(_ name: String) -> String? {
        if name.hasSuffix("embeddings.position_ids") { return nil }
        return name.hasPrefix("text_model.") ? name : "text_model.\(name)"
    }
}
