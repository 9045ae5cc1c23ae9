// `lora sample`: pictures of a prompt, with any adapters.

import Commands
import Formats
import Foundation
import LoRA
import Models
import NN
import Runs
import Torch

/// Makes pictures and writes each into a file of its own.
public struct SamplePictures {
    private let arguments: SampleArguments
    private let prompt: LoRAPrompt

    /// Nothing is read before `run`.
    public init(_ arguments: SampleArguments) throws {
        self.arguments = arguments
        prompt = try LoRAPrompt(arguments.prompt)
    }

    /// Loads the base and the adapters, and makes the pictures.
    public func run() throws {
        let base = try PictureBase(
            ModelCatalogue.locate(arguments.base), autoencoder: arguments.vae.map { URL(fileURLWithPath: $0) },
            prediction: arguments.prediction.flatMap { Prediction(rawValue: $0.rawValue) })
        guard arguments.clipSkip <= base.textEncoder.config.layers else {
            throw UsageError(
                problem:
                    "--clip-skip \(arguments.clipSkip): this text encoder has \(base.textEncoder.config.layers) layers")
        }
        var noiseConfig = base.noise
        noiseConfig.rescalesToZeroSNR = noiseConfig.rescalesToZeroSNR || arguments.zeroTerminalSnr
        let device = try Accelerator.load(arguments.device)
        let placement = Placement(device, device == .cpu ? .float32 : .bfloat16)
        let (unet, encoder) = (try base.loadUNet(on: placement), try base.loadTextEncoder(on: placement))
        for choice in try chosen {
            let adapters = try PictureAdapters.read(choice.file, for: unet, encoder, on: device)
            adapters.setStrength(unet: choice.unet, textEncoder: choice.textEncoder)
            adapters.attach()
        }
        let painter = PicturePainter(
            unet: unet, autoencoder: try base.loadAutoencoder(on: Placement(device, .float32)),
            text: PictureText(encoder, try base.tokenizer(), clipSkip: arguments.clipSkip),
            schedule: NoiseSchedule(noiseConfig),
            options: DenoisingOptions(
                sampler: SamplerKind(rawValue: arguments.sampler.rawValue) ?? .dpmSolver, steps: arguments.steps,
                guidance: arguments.guidance))
        let side = base.unet.config.sampleSize * base.autoencoder.config.pixelsPerLatent
        let noise = try arguments.latents.map { try Self.noise($0, base, on: device) }
        let size = try size(noise?.shape, or: side)
        for index in 0..<arguments.batch {
            let order = PictureOrder(
                prompt: prompt.text, negative: arguments.negative,
                size: size, seed: arguments.seed + index, noise: noise)
            let url = file(index)
            try AtomicFile.write(try painter.paint(order) { _ in }.png(), to: url)
            print(url.relativePath)
        }
    }

    /// That of the starting noise (1, C, height / 8, width / 8), of `--size`, or a square.
    private func size(_ noise: [Int]?, or side: Int) throws -> SampleSize {
        guard let noise else { return arguments.size ?? SampleSize(width: side, height: side) }
        let size = SampleSize(width: 8 * noise[3], height: 8 * noise[2])
        guard arguments.size ?? size == size, arguments.batch == 1 else {
            throw UsageError(
                problem:
                    "--latents are those of one picture of \(size.width)x\(size.height); leave out --size and --batch")
        }
        return size
    }

    private func file(_ index: Int) -> URL {
        guard arguments.batch > 1 else { return URL(fileURLWithPath: arguments.output) }
        return URL(fileURLWithPath: "\(arguments.output.dropLast(4))-\(index + 1).png")
    }

    /// The only tensor of a file, as noise of one picture.
    private static func noise(_ path: String, _ base: PictureBase, on device: Device) throws -> Tensor {
        let tensors = try SafetensorsFile(URL(fileURLWithPath: path)).tensors
        guard let stored = tensors["latents"] ?? (tensors.count == 1 ? tensors.values.first : nil),
            stored.shape.count == 4, stored.shape[0] == 1, stored.shape[1] == base.unet.config.inChannels
        else {
            throw UsageError(
                problem: "\(path): expected one tensor 'latents' of (1, \(base.unet.config.inChannels), height / 8, "
                    + "width / 8), got "
                    + tensors.values.map { "\($0.name) \($0.shape)" }.sorted().joined(separator: ", "))
        }
        return try Tensor(stored.floats(), stored.shape).to(device)
    }

    // MARK: - Adapters

    private typealias Choice = (file: URL, unet: Double, textEncoder: Double)

    /// Those of the prompt, then those of `--adapter`.
    private var chosen: [Choice] {
        get throws {
            try prompt.mentions.map { (try find($0.name), $0.unet, $0.textEncoder) }
                + arguments.adapter.map { name in
                    let (path, strength) = try AdapterName.split(name)
                    return (Self.exported(in: URL(fileURLWithPath: path)), strength, strength)
                }
        }
    }

    /// A run's adapter; any other path stays.
    private static func exported(in url: URL) -> URL {
        let inside = url.appendingPathComponent("checkpoints/pytorch_lora_weights.safetensors")
        return FileManager.default.fileExists(atPath: inside.path) ? inside : url
    }

    /// An adapter by its file's name, or by the name that its maker gave it.
    private func find(_ name: String) throws -> URL {
        let files = Self.files(URL(fileURLWithPath: arguments.loraDir, isDirectory: true), depth: 2)
        if let file = files.first(where: { $0.deletingPathExtension().lastPathComponent == name }) { return file }
        let alias = files.first { (try? SafetensorsFile($0))?.metadata["ss_output_name"] == name }
        if let alias { return alias }
        let known = Set(files.map { $0.deletingPathExtension().lastPathComponent }).sorted().prefix(8)
        throw UsageError(
            problem: "<lora:\(name)>: no \(name).safetensors in \(arguments.loraDir) and the folders in it; "
                + (known.isEmpty ? "name the folder with --lora-dir" : "there are \(known.joined(separator: ", "))"))
    }

    private static func files(_ folder: URL, depth: Int) -> [URL] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
            .filter { !$0.hasPrefix(".") }
        let urls = names.map { folder.appendingPathComponent($0) }
        let inside = depth > 0 ? urls.flatMap { files($0, depth: depth - 1) } : []
        return urls.filter { $0.pathExtension == "safetensors" } + inside
    }
}

/// `PATH` or `PATH:strength`.
enum AdapterName {
    /// The path, and the strength, which is 1 unless given.
    static func split(_ name: String) throws -> (path: String, strength: Double) {
        guard !FileManager.default.fileExists(atPath: name), let colon = name.lastIndex(of: ":") else {
            return (name, 1)
        }
        let number = name[name.index(after: colon)...]
        guard let value = Double(number), value.isFinite else {
            throw LoRAError.file(path: name, problem: "'\(number)' is not a strength; write NAME:0.8")
        }
        return (String(name[..<colon]), value)
    }
}
