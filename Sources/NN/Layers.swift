// The layers that transformers are built of; Convolution.swift has those of pictures.

import Torch

/// What a layer adds to its frozen weights' output.
public protocol Adapter: AnyObject {
    /// (rank, inputs), and (outputs, rank), and the factor of their product.
    var factors: (a: Tensor, b: Tensor, scale: Double) { get }
    /// What drops out of the adapter's input now; nil when generating.
    var dropout: Dropout? { get }
}

/// A layer with frozen weights that adapters add to.
public protocol AdaptedLayer: Module {
    var weight: Weights { get }
    /// Adapters in use; their updates add up.
    var adapters: [any Adapter] { get set }
}

/// `x Wᵀ + b`, W frozen, plus what its adapters add.
public final class Linear: Module, AdaptedLayer {
    public let weight: Weights
    public let bias: Parameter?
    public var adapters: [any Adapter] = []

    /// - Parameter kernel: `[1, 1]` where checkpoints hold the matrix as a convolution of one pixel.
    public init(_ inputs: Int, _ outputs: Int, bias: Bool, kernel: [Int] = []) {
        weight = Weights(outputs, inputs, kernel: kernel)
        self.bias = bias ? Parameter(outputs) : nil
    }

    /// `x` (…, inputs) → (…, outputs), added to `residual` where one is given.
    public func callAsFunction(_ x: Tensor, residual: Tensor? = nil) throws -> Tensor {
        try joined([self], x, residual: residual)
    }
}

/// Layers that share their input, side by side: (…, inputs) → (…, Σ outputs), in one product.
///
/// Adapters of joined layers share one dropout mask.
public func joined(_ layers: [Linear], _ x: Tensor, residual: Tensor? = nil) throws -> Tensor {
    let updates = layers.enumerated().flatMap { index, layer in
        layer.adapters.map { adapter in
            let factors = adapter.factors
            return LowRankUpdate(index: index, a: factors.a, b: factors.b, scale: factors.scale)
        }
    }
    return try linear(
        x, layers.map(\.weight.stored), bias: joinedBias(layers, like: x), updates: updates,
        dropout: layers.lazy.flatMap(\.adapters).compactMap(\.dropout).first, residual: residual
    )
}

/// The layers' biases side by side, zero for those without; nil where none has one.
private func joinedBias(_ layers: [Linear], like x: Tensor) throws -> Tensor? {
    guard layers.contains(where: { $0.bias != nil }) else { return nil }
    if layers.count == 1 { return layers[0].bias?.value }
    return try concatenated(
        layers.map { layer in
            try layer.bias?.value ?? .zeros([layer.weight.outputs], x.dtype, on: x.device)
        })
}

/// Root-mean-square norm with a factor for each channel (Zhang and Sennrich, arXiv:1910.07467).
public final class RMSNorm: Module {
    public let weight: Parameter
    private let epsilon: Double

    public init(_ size: Int, epsilon: Double) {
        weight = Parameter(size)
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try rmsNorm(x, weight.value, epsilon: epsilon) }
}

/// Layer norm with a factor and an offset for each channel (Ba et al., arXiv:1607.06450).
public final class LayerNorm: Module {
    public let weight, bias: Parameter
    private let epsilon: Double

    public init(_ size: Int, epsilon: Double = 1e-5) {
        weight = Parameter(size)
        bias = Parameter(size)
        self.epsilon = epsilon
    }

    /// Normalises the last dimension.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.layerNorm(weight.value, bias.value, epsilon: epsilon)
    }
}

/// A row of a table for each token.
public final class Embedding: Module {
    public let weight: Weights

    public init(_ count: Int, _ size: Int) { weight = Weights(count, size) }

    /// `ids` (T) → (T, size).
    public func callAsFunction(_ ids: Tensor) throws -> Tensor { try embedding(ids, weight.stored) }
}
