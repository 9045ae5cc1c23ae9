// Reading picture adapters made anywhere: every tensor of the file must find its layer and fit it.

import Formats
import Foundation
import NN
import Torch

extension PictureAdapters {
    /// Reads a file with keys of kohya, diffusers or PEFT for a UNet and a text encoder, without attaching it.
    ///
    /// Where nothing tells a layer's α it is its rank. Throws where the file is of another kind, for another model, or
    /// has a tensor without a place.
    ///
    /// - Parameter url: the file, or a folder in which diffusers has saved it.
    public static func read(
        _ url: URL, for unet: Module, _ textEncoder: Module, on device: Device
    ) throws -> PictureAdapters {
        var reader = try PictureAdapterReader(PictureAdapterReader.file(in: url), on: device)
        let adapters = PictureAdapters(
            unet: try reader.read(.unet, for: unet), textEncoder: try reader.read(.textEncoder, for: textEncoder))
        try reader.finish()
        return adapters
    }
}

private struct PictureAdapterReader {
    private let file: SafetensorsFile
    private let device: Device
    private let scaling: DiffusersScaling
    /// Tensors that no layer has taken yet.
    private var left: Set<String>

    init(_ url: URL, on device: Device) throws {
        file = try SafetensorsFile(url)
        left = Set(file.tensors.keys)
        if let kind = ForeignAdapter.name(file) {
            throw LoRAError.file(path: url.path, problem: "\(kind); use a LoRA for Stable Diffusion 1.x or 2.x")
        }
        scaling = try DiffusersScaling(file)
        self.device = device
    }

    /// The file itself, or the one that diffusers writes into a folder.
    static func file(in url: URL) throws -> URL {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
            return url
        }
        let inside = url.appendingPathComponent("pytorch_lora_weights.safetensors")
        if FileManager.default.fileExists(atPath: inside.path) { return inside }
        let isPEFT = FileManager.default.fileExists(atPath: url.appendingPathComponent(PEFT.weightsName).path)
        throw LoRAError.file(
            path: url.path,
            problem: (isPEFT ? "PEFT's folder of a language model's adapter" : "a folder without an adapter")
                + "; name a .safetensors file, or a folder with pytorch_lora_weights.safetensors")
    }

    /// The adapters of one network; nil where the file has none.
    mutating func read(_ part: PictureNetwork, for model: Module) throws -> LoRASet? {
        let layers = model.modules(of: (any AdaptedLayer).self)
        let original = LatentDiffusionPaths(layers.map(\.path))
        var entries: [LoRASet.Entry] = []
        for (path, layer) in layers {
            let candidates = PictureKeys.candidates(path, of: part, original: part == .unet ? original(path) : nil)
            guard let names = candidates.first(where: { left.contains($0.down) || left.contains($0.up) }) else {
                continue
            }
            let adapter = try adapter(names, for: layer, scaling.alpha(of: path, in: part))
            entries.append(LoRASet.Entry(path: path, layer: layer, adapter: adapter))
            left.subtract([names.down, names.up, names.alpha ?? ""])
        }
        guard let first = entries.first?.adapter else { return nil }
        let rank = first.a.shape[0]
        let config = LoRAConfig(rank: rank, alpha: first.scale * Double(rank), targets: entries.map(\.path))
        return LoRASet(config: config, entries: entries)
    }

    /// Refuses what found no place.
    func finish() throws {
        guard left.count < file.tensors.count else { throw refuse("no LoRA in it") }
        guard left.isEmpty else {
            let shown = left.sorted().prefix(5).map { "'\($0.onOneLine)'" }.joined(separator: ", ")
            let more = left.count > 5 ? " and \(left.count - 5) more" : ""
            throw refuse("\(shown)\(more): this model has no such layers; is the adapter for another base model?")
        }
    }

    private func adapter(
        _ names: PictureFactorNames, for layer: any AdaptedLayer, _ defaultAlpha: (Int) -> Double
    ) throws -> LoRA {
        let (down, up) = (try tensor(names.down), try tensor(names.up))
        let rank = down.shape.first ?? 0, weight = layer.weight.shape
        // A matrix may be stored as a convolution of one pixel, and the other way round.
        func sizes(_ shape: [Int]) -> [Int] { shape.count == 2 ? shape + [1, 1] : shape }
        let expected = ([rank] + sizes(weight).dropFirst(), [weight[0], rank, 1, 1])
        guard rank > 0, sizes(down.shape) == expected.0, sizes(up.shape) == expected.1 else {
            throw refuse(
                "'\(names.down)' is \(down.shape) and its other half \(up.shape), expected [rank, "
                    + "\(weight.dropFirst().map(String.init).joined(separator: ", "))] and [\(weight[0]), rank]; "
                    + "is the adapter for another base model?")
        }
        var alpha = defaultAlpha(rank)
        if let name = names.alpha, let stored = file.tensors[name] {
            guard stored.elementCount == 1, let value = try stored.floats().first, value.isFinite else {
                throw refuse("'\(name)' is not a finite number")
            }
            alpha = Double(value)
        }
        return LoRA(
            a: try Tensor(down.floats(), [rank, layer.weight.inputs]).to(device),
            b: try Tensor(up.floats(), [weight[0], rank]).to(device), scale: alpha / Double(rank))
    }

    private func tensor(_ name: String) throws -> StoredTensor {
        guard let tensor = file.tensors[name] else { throw refuse("'\(name)' is missing, its other half is there") }
        guard [.f16, .bf16, .f32, .f64].contains(tensor.type) else {
            throw refuse("'\(name)' is stored as \(tensor.type); use a file of type F32, F16 or BF16")
        }
        return tensor
    }

    private func refuse(_ problem: String) -> LoRAError { .file(path: file.file.url.path, problem: problem) }
}

/// How diffusers says α: PEFT's configuration of each network, as JSON in the file's metadata.
private struct DiffusersScaling {
    private var fields: [String: Any] = [:]
    private let file: String

    init(_ file: SafetensorsFile) throws {
        self.file = file.file.url.path
        guard let text = file.metadata["lora_adapter_metadata"] else { return }
        guard let fields = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            throw refuse("is not a JSON object")
        }
        self.fields = fields
        if PictureNetwork.allCases.contains(where: { fields["\($0.rawValue).use_dora"] as? Bool == true }) {
            throw LoRAError.file(path: self.file, problem: "a DoRA, which is not read here; use a LoRA")
        }
    }

    /// A layer's α for its rank; the rank itself where nothing is said.
    func alpha(of path: String, in part: PictureNetwork) throws -> (Int) -> Double {
        func field(_ name: String) -> Any? { fields["\(part.rawValue).\(name)"] }
        let patterns = field("alpha_pattern") as? [String: Double] ?? [:]
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "_.^"))
        if let other = patterns.keys.sorted().first(where: { $0.rangeOfCharacter(from: plain.inverted) != nil }) {
            throw refuse("has the pattern '\(other.onOneLine)'; only names and paths of layers are read here")
        }
        let match = patterns.keys.sorted().first { pattern in
            pattern.hasPrefix("^") ? "^\(path)" == pattern : ".\(path)".hasSuffix(".\(pattern)")
        }
        guard let alpha = match.flatMap({ patterns[$0] }) ?? field("lora_alpha") as? Double else {
            return { Double($0) }
        }
        guard alpha.isFinite else { throw refuse("has an α that is not finite") }
        // The caller divides by the rank.
        return field("use_rslora") as? Bool == true ? { alpha * Double($0).squareRoot() } : { _ in alpha }
    }

    private func refuse(_ problem: String) -> LoRAError {
        .file(path: file, problem: "its metadata 'lora_adapter_metadata' \(problem)")
    }
}
