// A low-rank update of a frozen layer.

import NN
import Torch

/// How adapters are made.
public struct LoRAConfig: Sendable, Equatable {
    public var rank: Int
    public var alpha: Double
    public var dropout: Double
    /// Scale by α / √r (Kalajdzievski, arXiv:2312.03732) instead of α / r.
    public var isRankStabilised: Bool
    /// Names or patterns of layers, see `TargetPattern`.
    public var targets: [String]
    /// What the user calls the targets, for messages.
    public var key = "target_modules"

    public init(rank: Int, alpha: Double, dropout: Double = 0, isRankStabilised: Bool = false, targets: [String]) {
        (self.rank, self.alpha, self.dropout) = (rank, alpha, dropout)
        (self.isRankStabilised, self.targets) = (isRankStabilised, targets)
    }

    /// α / r, or α / √r.
    public var scale: Double { alpha / (isRankStabilised ? Double(rank).squareRoot() : Double(rank)) }
}

/// A low-rank update `ΔW = scale · B A` (Hu et al., arXiv:2106.09685), in PEFT's orientation.
public final class LoRA: Adapter {
    /// (rank, inputs)
    public let a: Tensor
    /// (outputs, rank); zero at the start
    public let b: Tensor
    public let scale: Double
    /// A factor of the user's on top, as in `--adapter NAME:0.8`.
    public var strength = 1.0
    /// What drops out of the input now; nil when generating.
    public var dropout: Dropout?

    public init(a: Tensor, b: Tensor, scale: Double) { (self.a, self.b, self.scale) = (a, b, scale) }

    public var factors: (a: Tensor, b: Tensor, scale: Double) { (a, b, scale * strength) }

    /// A fresh adapter: A uniform within ±1/√inputs (Kaiming with a = √5, as PEFT), B zero; the same for the same seed
    /// and path on every device.
    static func fresh(
        for layer: any AdaptedLayer, path: String, config: LoRAConfig, seed: Int, on device: Device
    ) throws -> LoRA {
        let (inputs, outputs) = (layer.weight.inputs, layer.weight.outputs)
        var stream = RandomStream(seed: seed, purpose: "init.\(path)")
        let bound = 1 / Float(inputs).squareRoot()
        let values = (0..<config.rank * inputs).map { _ in (2 * stream.uniform() - 1) * bound }
        return try LoRA(
            a: Tensor(values, [config.rank, inputs]).to(device).requiresGrad(true),
            b: Tensor.zeros([outputs, config.rank], on: device).requiresGrad(true), scale: config.scale
        )
    }
}
