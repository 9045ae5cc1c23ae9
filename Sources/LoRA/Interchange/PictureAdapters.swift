// The adapters of one run on Stable Diffusion, and the files they are exchanged in.

import Formats
import Foundation
import NN
import Torch

/// The adapters of a UNet and of its text encoder that belong together: what one file holds.
public struct PictureAdapters {
    public let unet: LoRASet?
    public let textEncoder: LoRASet?

    public init(unet: LoRASet?, textEncoder: LoRASet? = nil) {
        (self.unet, self.textEncoder) = (unet, textEncoder)
    }

    private var parts: [(part: PictureNetwork, set: LoRASet)] {
        [(.unet, unet), (.textEncoder, textEncoder)].compactMap { part, set in set.map { (part, $0) } }
    }

    /// Adds the adapters to their layers.
    public func attach() { parts.forEach { $0.set.attach() } }

    /// Takes the adapters off their layers.
    public func detach() { parts.forEach { $0.set.detach() } }

    /// Sets how strongly the adapters act on each network, as in `<lora:NAME:0.8>`; 0 is not at all.
    public func setStrength(unet: Double, textEncoder: Double) {
        self.unet?.entries.forEach { $0.adapter.strength = unet }
        self.textEncoder?.entries.forEach { $0.adapter.strength = textEncoder }
    }
}

// MARK: - Writing

extension PictureAdapters {
    /// Writes one safetensors file, whatever the strength.
    ///
    /// With kohya's keys each layer has its α, so that the update is `up · down · α / rank` also where it is scaled by
    /// α / √rank; other keys have none, and `up` is written multiplied by the scale.
    ///
    /// - Parameters:
    ///   - type: F16, BF16 or F32. F16 is what programs compute in, and eight times as exact as BF16.
    ///   - metadata: with kohya's keys those of `KohyaMetadata`, to which the file's hashes are added.
    public func write(
        _ keys: PictureKeys, as type: ElementType = .f16, metadata: [String: String] = [:], to url: URL
    ) throws {
        let entries = try parts.flatMap { part, set in
            try set.entries.flatMap { try Self.tensors(of: $0, keys.names($0.path, of: part), type, url) }
        }
        guard !entries.isEmpty else { throw LoRAError.file(path: url.path, problem: "no adapters to write") }
        var metadata = metadata
        if keys == .kohya {
            metadata.merge(try KohyaHash.ofAdapter(entries, metadata, for: url)) { $1 }
        } else {
            metadata["format"] = "pt"
        }
        try SafetensorsWriter.write(entries, metadata: metadata, to: url)
    }

    private static func tensors(
        of entry: LoRASet.Entry, _ names: PictureFactorNames, _ type: ElementType, _ url: URL
    ) throws -> [SafetensorsWriter.Entry] {
        let (adapter, shape) = (entry.adapter, entry.layer.weight.shape)
        let rank = adapter.a.shape[0], isPicture = shape.count == 4
        func tensor(_ name: String, _ shape: [Int], _ value: Tensor) throws -> SafetensorsWriter.Entry {
            let data = try stored(value, as: type, entry.path, url)
            return SafetensorsWriter.Entry(name: name, type: type, shape: shape, data: data)
        }
        let up = try withoutGradients { names.alpha == nil ? try adapter.b * adapter.scale : adapter.b }
        var tensors = [
            try tensor(names.down, [rank] + shape.dropFirst(), adapter.a),
            try tensor(names.up, [shape[0], rank] + (isPicture ? [1, 1] : []), up),
        ]
        if let name = names.alpha {
            // In the file's type where that holds it exactly; programs only ask for its value.
            let alpha = try Tensor([Float(adapter.scale * Double(rank))], [])
            let isExact = try alpha.to(dtype(type, url)).array(Float.self) == alpha.array(Float.self)
            let alphaType = isExact ? type : .f32
            let data = try stored(alpha, as: alphaType, entry.path, url)
            tensors.append(SafetensorsWriter.Entry(name: name, type: alphaType, shape: [], data: data))
        }
        return tensors
    }

    private static func dtype(_ type: ElementType, _ url: URL) throws -> DType {
        switch type {
        case .f16: return .float16
        case .bf16: return .bfloat16
        case .f32: return .float32
        default: throw LoRAError.file(path: url.path, problem: "adapters are written as F16, BF16 or F32, not \(type)")
        }
    }

    private static func stored(_ value: Tensor, as type: ElementType, _ path: String, _ url: URL) throws -> Data {
        try withoutGradients {
            let rounded = try value.detach().to(.cpu).to(dtype(type, url)).contiguous()
            guard try rounded.array(Float.self).allSatisfy(\.isFinite) else {
                let problem =
                    "the adapter of '\(path)' has numbers that \(type) cannot hold; has the training diverged?"
                throw LoRAError.file(path: url.path, problem: problem)
            }
            return try rounded.withBytes { Data($0) }
        }
    }
}
