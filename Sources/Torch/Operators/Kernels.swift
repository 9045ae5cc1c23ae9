// Our own operators: Sources/Kernels, one C++ file each.

/// A frozen weight as an operator takes it: a dense matrix, or GGUF's blocks.
public struct StoredWeight {
    /// (outputs, inputs), or bytes where `ggmlType` is set.
    public let data: Tensor
    /// GGUF's number of the element type; nil: dense.
    public let ggmlType: Int?
    public let outputs: Int
    public let inputs: Int
    /// Rows of a head where the rows are in GGUF's order of query and key weights; 0: Hugging Face's order.
    public let interleavedHead: Int

    public init(_ data: Tensor, ggmlType: Int? = nil, outputs: Int, inputs: Int, interleavedHead: Int = 0) {
        (self.data, self.ggmlType, self.outputs, self.inputs) = (data, ggmlType, outputs, inputs)
        self.interleavedHead = interleavedHead
    }
}

/// A low-rank update of one weight among several that share an input: `scale · (x aᵀ) bᵀ`.
public struct LowRankUpdate {
    /// Which of the weights.
    public let index: Int
    /// (rank, inputs)
    public let a: Tensor
    /// (outputs, rank)
    public let b: Tensor
    public let scale: Double

    public init(index: Int, a: Tensor, b: Tensor, scale: Double) {
        (self.index, self.a, self.b, self.scale) = (index, a, b, scale)
    }
}

/// What drops out of an adapter's input, drawn anew in backward from the same seed.
public struct Dropout: Sendable {
    public let probability: Double
    public let seed: Int

    public init(probability: Double, seed: Int) {
        (self.probability, self.seed) = (probability, seed)
    }
}

/// `residual + [x W₁ᵀ, x W₂ᵀ …] + bias`, each with its low-rank update: (…, inputs) → (…, Σ outputs).
public func linear(
    _ x: Tensor, _ weights: [StoredWeight], bias: Tensor? = nil, updates: [LowRankUpdate] = [],
    dropout: Dropout? = nil, residual: Tensor? = nil
) throws -> Tensor {
    try own.linear(
        x, weights.map(\.data), weights.flatMap { [$0.ggmlType ?? -1, $0.outputs, $0.interleavedHead] }, bias,
        updates.flatMap { [$0.a, $0.b] }, updates.map(\.index), updates.map(\.scale),
        dropout?.probability ?? 0, dropout?.seed ?? 0, residual
    )
}

/// 0 or 1 / (1 - p) for each element of `x`, as `linear` multiplies by.
public func dropoutMask(like x: Tensor, _ dropout: Dropout) throws -> Tensor {
    try own.dropoutMask(x, dropout.probability, dropout.seed)
}

/// The convolution of x (B, I, H, W) with a frozen weight of `shape` (O, I, K, K), plus `bias` (O).
public func conv2d(
    _ x: Tensor, _ weight: StoredWeight, _ shape: [Int], bias: Tensor?, stride: Int, padding: Int
) throws -> Tensor {
    try own.conv2d(x, weight.data, [weight.ggmlType ?? -1] + shape + [stride, padding], bias)
}

/// `x / √(mean(x²) + epsilon) · weight` over the last dimension.
public func rmsNorm(_ x: Tensor, _ weight: Tensor, epsilon: Double) throws -> Tensor {
    try own.rmsNorm(x, weight, epsilon)
}

/// `silu(gate) · up` of (…, gate and up side by side).
public func swiglu(_ x: Tensor) throws -> Tensor { try own.swiglu(x) }

/// The value times GELU of the gate, where `x` (…, 2 · size) has the value first, then the gate.
public func geglu(_ x: Tensor) throws -> Tensor { try own.geglu(x) }

/// SiLU of the group norm of (B, C, …), with frozen factors and offsets (C).
public func groupNormSiLU(
    _ x: Tensor, groups: Int, _ weight: Tensor, _ bias: Tensor, epsilon: Double
) throws -> Tensor { try own.groupNormSiLU(x, groups, weight, bias, epsilon) }

/// Rotates x (T, H, D) by its tokens' positions (T), with tables (places, D / 2).
public func rope(_ x: Tensor, cosines: Tensor, sines: Tensor, positions: Tensor) throws -> Tensor {
    try own.rope(x, cosines, sines, positions)
}

/// Causal attention within each of several sequences that lie end to end: q (T, H, D), k and v (T, K, D).
public func attention(_ q: Tensor, _ k: Tensor, _ v: Tensor, lengths: [Int]) throws -> Tensor {
    try own.attention(q, k, v, lengths)
}

/// Softmax attention without a mask: q (B, H, T, D), k and v (B, H, S, D) → (B, H, T, D), in memory as (B, T, H, D).
public func pictureAttention(_ q: Tensor, _ k: Tensor, _ v: Tensor) throws -> Tensor {
    try own.pictureAttention(q, k, v)
}

/// The summed loss of x (T, C) against `labels` (T) through a frozen head; positions labelled below 0 do not count.
public func crossEntropy(_ x: Tensor, labels: Tensor, head: StoredWeight) throws -> Tensor {
    try own.crossEntropy(x, labels, head.data, head.ggmlType ?? -1, head.outputs)
}

/// The rows of `table` that `ids` name: (…) → (…, inputs), in fp32 where the table is packed.
public func embedding(_ ids: Tensor, _ table: StoredWeight) throws -> Tensor {
    try own.embedding(ids, table.data, table.ggmlType ?? -1, table.outputs, table.inputs)
}

/// The weight as a dense fp32 matrix (outputs, inputs), rows in Hugging Face's order.
public func expanded(_ weight: StoredWeight) throws -> Tensor {
    try own.expand(weight.data, weight.ggmlType ?? -1, weight.outputs, weight.inputs, weight.interleavedHead)
}

private enum own {
    static let linear = Operator(
        """
        lora::linear(Tensor x, Tensor[] weights, int[] layout, Tensor? bias, Tensor[] adapters, int[] adapted, \
        float[] scales, float dropout, int seed, Tensor? residual) -> Tensor
        """
    )
    static let dropoutMask = Operator("lora::dropout_mask(Tensor like, float dropout, int seed) -> Tensor")
    static let conv2d = Operator("lora::conv2d(Tensor x, Tensor weight, int[] layout, Tensor? bias) -> Tensor")
    static let rmsNorm = Operator("lora::rms_norm(Tensor x, Tensor weight, float eps) -> Tensor")
    static let swiglu = Operator("lora::swiglu(Tensor x) -> Tensor")
    static let geglu = Operator("lora::geglu(Tensor x) -> Tensor")
    static let groupNormSiLU = Operator(
        "lora::group_norm_silu(Tensor x, int groups, Tensor weight, Tensor bias, float epsilon) -> Tensor")
    static let rope = Operator("lora::rope(Tensor x, Tensor cosines, Tensor sines, Tensor positions) -> Tensor")
    static let attention = Operator("lora::attention(Tensor q, Tensor k, Tensor v, int[] lengths) -> Tensor")
    static let pictureAttention = Operator("lora::picture_attention(Tensor q, Tensor k, Tensor v) -> Tensor")
    static let crossEntropy = Operator(
        "lora::cross_entropy(Tensor x, Tensor labels, Tensor head, int type, int outputs) -> Tensor"
    )
    static let embedding = Operator(
        "lora::embedding(Tensor ids, Tensor data, int type, int outputs, int inputs) -> Tensor"
    )
    static let expand = Operator(
        "lora::expand(Tensor data, int type, int outputs, int inputs, int head) -> Tensor"
    )
}
