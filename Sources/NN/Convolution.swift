// The layers that networks over pictures are built of.
//
// B pictures, C channels, H height, W width.

import Torch

/// A convolution with frozen weights, plus what its adapters add.
public final class Conv2d: Module, AdaptedLayer {
    public let weight: Weights
    public let bias: Parameter
    public var adapters: [any Adapter] = []
    private let stride, padding: Int

    public init(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0) {
        weight = Weights(outputs, inputs, kernel: [kernel, kernel])
        bias = Parameter(outputs)
        (self.stride, self.padding) = (stride, padding)
    }

    /// (B, inputs, H, W) → (B, outputs, H', W').
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try conv2d(x, weight.stored, weight.shape, bias: bias.value, stride: stride, padding: padding)
        return try adapters.reduce(y) { try $0 + update(x, by: $1) }
    }

    /// `scale · B(A(x))`: A a convolution of the same kernel into `rank` channels, B one of a single pixel.
    private func update(_ x: Tensor, by adapter: any Adapter) throws -> Tensor {
        let (a, b, scale) = adapter.factors
        let x = try adapter.dropout.map { try x * dropoutMask(like: x, $0) } ?? x
        let (inputs, kernel) = (weight.shape[1], weight.shape[2])
        let (down, up) = (
            try a.to(x.dtype).view(-1, inputs, kernel, kernel), try b.to(x.dtype).view(weight.outputs, -1, 1, 1)
        )
        return try x.conv2d(down, stride: stride, padding: padding).conv2d(up) * scale
    }
}

/// Group norm with a factor and an offset for each channel (Wu and He, arXiv:1803.08494).
public final class GroupNorm: Module {
    public let weight, bias: Parameter
    private let groups: Int
    private let epsilon: Double

    public init(_ channels: Int, groups: Int, epsilon: Double) {
        weight = Parameter(channels)
        bias = Parameter(channels)
        (self.groups, self.epsilon) = (groups, epsilon)
    }

    /// (B, C, …) → the same.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.groupNorm(groups, weight.value, bias.value, epsilon: epsilon)
    }

    /// (B, C, …) → the same, through SiLU.
    public func silu(_ x: Tensor) throws -> Tensor {
        try groupNormSiLU(x, groups: groups, weight.value, bias.value, epsilon: epsilon)
    }
}
