// Small Stable Diffusion models, LoRA on them, and what diffusers and PEFT make of them.

import Formats
import Foundation
import LoRA
import NN
import TestSupport
import Testing
import Torch

@testable import Models

/// A model with what the reference computes with it; see scripts/goldens/diffusion.py.
struct TinyDiffusion {
    enum Kind: String, CaseIterable, Sendable {
        /// assets/pocket-emoji: one file for each part, F16.
        case pocket
        /// Four levels; sharded, the autoencoder with old names in F32, the text encoder without prefix in BF16.
        case sd1
        /// Linear projections, heads by level; sharded F16 variants.
        case sd2
    }

    let parts: StableDiffusion
    let folder: URL
    private let expected: SafetensorsFolder

    init(_ kind: Kind) throws {
        folder = goldens.appendingPathComponent("diffusion-\(kind)")
        parts = try StableDiffusion.load(Self.model(kind), on: Placement(.cpu, .float32))
        expected = try SafetensorsFolder(folder, stem: "expected")
    }

    /// The folder with the model itself.
    static func model(_ kind: Kind) -> URL {
        let root = goldens.deletingLastPathComponent().deletingLastPathComponent()
        return kind == .pocket
            ? root.appendingPathComponent("assets/pocket-emoji")
            : goldens.appendingPathComponent("diffusion-\(kind)/model")
    }

    func stored(_ name: String) throws -> StoredTensor { try #require(expected.tensors[name], "\(name)") }

    func tensor(_ name: String) throws -> Tensor {
        let stored = try stored(name)
        return try Tensor(stored.floats(), stored.shape)
    }

    var tokens: [[Int]] {
        get throws {
            let stored = try stored("tokens"), flat = try stored.floats().map { Int($0) }
            let length = stored.shape[1]
            return stride(from: 0, to: flat.count, by: length).map { Array(flat[$0..<$0 + length]) }
        }
    }

    /// The noise that is predicted for one of the golden's cases; `context` instead of the golden's states of the texts.
    func predicted(_ name: String, context: Tensor? = nil) throws -> Tensor {
        let x = try tensor("\(name).x"), B = x.shape[0]
        let steps = try stored("\(name).timesteps").floats().map { Double($0) }
        return try parts.unet(x, timesteps: steps, context: (context ?? tensor("text")).narrow(0, 0, B))
    }
}

/// LoRA of rank 2 on some layers of a model, with PEFT's results.
struct TinyDiffusionAdapter {
    enum Kind: String, CaseIterable, Sendable {
        case attention, linear, convolution
        /// On the text encoder: gradients come through the UNet.
        case text

        fileprivate var targets: [String] {
            let attention = ["to_q", "to_k", "to_v", "to_out.0"]
            switch self {
            case .attention: return attention
            case .linear: return attention + ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]
            case .convolution: return ["conv1", "conv2", "downsamplers.0.conv"]
            case .text: return ["q_proj", "v_proj"]
            }
        }
    }

    let set: LoRASet
    let expected: SafetensorsFolder
    private let kind: Kind

    /// Puts the adapter onto the model.
    init(_ kind: Kind, on tiny: TinyDiffusion) throws {
        self.kind = kind
        expected = try SafetensorsFolder(tiny.folder.appendingPathComponent("\(kind)"), stem: "expected")
        let config = LoRAConfig(rank: 2, alpha: 3, targets: kind.targets)
        let model: Module = kind == .text ? tiny.parts.textEncoder : tiny.parts.unet
        set = try LoRASet.inject(config, into: model, seed: 0, on: .cpu)
        for (place, (key, value)) in set.parameters.sorted(by: { $0.key < $1.key }).enumerated() {
            let bound = key.contains("lora_A") ? 1 / Double(value.shape[1]).squareRoot() : 0.1
            let factors = try Tensor(Self.factors(place, value.count, bound), value.shape)
            try withoutGradients { try value.copy(from: factors) }
        }
    }

    /// The script's formula: whole numbers from -1001 to 1001, as a part of `bound`.
    private static func factors(_ index: Int, _ count: Int, _ bound: Double) -> [Float] {
        (0..<count).map { Float(Double(($0 * 7919 + index * 104_729) % 2003 - 1001) / 1001 * bound) }
    }

    func stored(_ name: String) throws -> StoredTensor { try #require(expected.tensors[name], "\(name)") }

    /// The prediction and its loss, the mean of the squared differences from the noise.
    func loss(_ tiny: TinyDiffusion) throws -> (predicted: Tensor, loss: Tensor) {
        let context = kind == .text ? try tiny.parts.textEncoder(tiny.tokens) : nil
        let y = try tiny.predicted("odd", context: context)
        let away = try y - tiny.tensor("noise")
        return (y, try (away * away).sum() * (1 / Double(y.count)))
    }
}

/// How far apart two arrays are, as a part of the expected one.
enum Distance {
    /// The largest difference, of the largest value.
    case largest
    /// The norm of the differences, of the norm.
    case norm

    func callAsFunction(_ actual: [Float], _ expected: [Float]) -> Double {
        guard actual.count == expected.count else { return .infinity }
        let away = zip(actual, expected).map { Double($0) - Double($1) }
        let size = measure(expected.map { Double($0) }), distance = measure(away)
        return distance.isNaN ? .infinity : distance == 0 ? 0 : distance / size
    }

    private func measure(_ values: [Double]) -> Double {
        switch self {
        case .largest: values.contains(where: \.isNaN) ? .nan : values.lazy.map(abs).max() ?? 0
        case .norm: values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        }
    }
}

/// Expects the golden's shape and numbers; a gradient of a convolution's factor has four dimensions in PEFT.
func expectNear(
    _ actual: Tensor, _ stored: StoredTensor, _ distance: Distance = .largest, within tolerance: Double = 1e-5,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let isFactor = stored.name.contains(".lora_")
    let shape = isFactor ? [stored.shape[0], stored.shape.dropFirst().reduce(1, *)] : stored.shape
    #expect(actual.shape == shape, "\(stored.name)", sourceLocation: sourceLocation)
    let measured = try distance(actual.array(), stored.floats())
    #expect(measured <= tolerance, "\(stored.name) is off by \(measured)", sourceLocation: sourceLocation)
}
