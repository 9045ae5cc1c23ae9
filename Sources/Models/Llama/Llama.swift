// The LLaMA decoder, over sequences that lie end to end.
//
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py
// (and modeling_mistral.py, modeling_qwen2.py, which differ in biases alone). Sequences are never padded: a batch is
// one row of tokens with the length of each sequence, and attention stays within them.
//
// T tokens of all sequences, C hidden size, H heads, K key-value heads, D head size.

import NN
import Torch

/// Tokens of one or several sequences, end to end, and what attention needs to know of them.
struct SequenceBatch {
    /// (T): where each token stands in its own sequence.
    let positions: Tensor
    let lengths: [Int]
    let rope: (cosines: Tensor, sines: Tensor)
    /// One for each sequence when generating; empty when training.
    let caches: [KeyValueCache]
}

final class LlamaAttention: Module {
    let qProj, kProj, vProj, oProj: Linear
    private let layer, heads, keyValueHeads, headSize: Int

    init(_ config: LlamaConfig, layer: Int) {
        (heads, keyValueHeads, headSize) = (config.heads, config.keyValueHeads, config.headSize)
        self.layer = layer
        let keyValueSize = keyValueHeads * headSize
        qProj = Linear(config.hiddenSize, heads * headSize, bias: config.hasQueryBias)
        kProj = Linear(config.hiddenSize, keyValueSize, bias: config.hasQueryBias)
        vProj = Linear(config.hiddenSize, keyValueSize, bias: config.hasQueryBias)
        oProj = Linear(heads * headSize, config.hiddenSize, bias: config.hasOutputBias)
    }

    func callAsFunction(_ x: Tensor, _ batch: SequenceBatch, residual: Tensor) throws -> Tensor {
        let sizes = [heads * headSize, keyValueHeads * headSize, keyValueHeads * headSize]
        let parts = try joined([qProj, kProj, vProj], x).split(sizes, dim: -1)
            .map { try $0.view(-1, $0.shape[1] / headSize, headSize) }  // (T, H or K, D)
        let (cosines, sines) = batch.rope
        let q = try rope(parts[0], cosines: cosines, sines: sines, positions: batch.positions)
        let k = try rope(parts[1], cosines: cosines, sines: sines, positions: batch.positions)
        let y = try attend(q, k, parts[2], batch)  // (T, H, D)
        return try oProj(y.reshape(-1, heads * headSize), residual: residual)
    }

    private func attend(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ batch: SequenceBatch) throws -> Tensor {
        guard !batch.caches.isEmpty else { return try attention(q, k, v, lengths: batch.lengths) }
        var start = 0
        let parts = try zip(batch.caches, batch.lengths).map { cache, length in
            defer { start += length }
            let part = { (x: Tensor) in try x.narrow(0, start, length) }
            let isFirst = cache.count == 0
            let (keys, values) = try cache.append(part(k), part(v), layer: layer)
            if isFirst { return try attention(part(q), part(k), part(v).contiguous(), lengths: [length]) }
            return try cachedAttention(part(q), keys, values)
        }
        return try concatenated(parts)
    }
}

final class LlamaMLP: Module {
    let gateProj, upProj, downProj: Linear

    init(_ config: LlamaConfig) {
        let (hidden, inner, bias) = (config.hiddenSize, config.intermediateSize, config.hasFeedForwardBias)
        gateProj = Linear(hidden, inner, bias: bias)
        upProj = Linear(hidden, inner, bias: bias)
        downProj = Linear(inner, hidden, bias: bias)
    }

    func callAsFunction(_ x: Tensor, residual: Tensor) throws -> Tensor {
        try downProj(swiglu(joined([gateProj, upProj], x)), residual: residual)
    }
}

final class LlamaDecoderLayer: Module {
    let selfAttn: LlamaAttention
    let mlp: LlamaMLP
    let inputLayernorm, postAttentionLayernorm: RMSNorm

    init(_ config: LlamaConfig, layer: Int) {
        selfAttn = LlamaAttention(config, layer: layer)
        mlp = LlamaMLP(config)
        inputLayernorm = RMSNorm(config.hiddenSize, epsilon: config.normEpsilon)
        postAttentionLayernorm = RMSNorm(config.hiddenSize, epsilon: config.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, _ batch: SequenceBatch) throws -> Tensor {
        let x = try selfAttn(inputLayernorm(x), batch, residual: x)
        return try mlp(postAttentionLayernorm(x), residual: x)
    }
}

final class LlamaModel: Module {
    let embedTokens: Embedding
    let layers: [LlamaDecoderLayer]
    let norm: RMSNorm

    init(_ config: LlamaConfig) {
        embedTokens = Embedding(config.vocabularySize, config.hiddenSize)
        layers = (0..<config.layers).map { LlamaDecoderLayer(config, layer: $0) }
        norm = RMSNorm(config.hiddenSize, epsilon: config.normEpsilon)
    }
}

/// The head where it is not the embedding table. Its product with the hidden states is never made as a whole, so it
/// takes no adapters.
final class LlamaHead: Module {
    let weight: Weights

    init(_ config: LlamaConfig) { weight = Weights(config.vocabularySize, config.hiddenSize) }
}

/// A LLaMA-family language model with frozen weights.
public final class Llama: Module {
    let model: LlamaModel
    let lmHead: LlamaHead?
    /// What the model is made of.
    public let config: LlamaConfig
    /// Where it computes, and in which type.
    public let placement: Placement
    /// Recompute each layer on the way back instead of keeping what it computed.
    public var checkpointsGradients = false
    private let rope: RotaryEmbedding

    /// Makes the layers, which hold no weights yet; `load` makes a model that does.
    public init(_ config: LlamaConfig, on placement: Placement) {
        (self.config, self.placement) = (config, placement)
        model = LlamaModel(config)
        lmHead = config.tiesEmbeddings ? nil : LlamaHead(config)
        rope = RotaryEmbedding(
            headSize: config.headSize, base: config.ropeBase, scaling: config.ropeScaling, on: placement
        )
    }

    private var head: StoredWeight { (lmHead?.weight ?? model.embedTokens.weight).stored }

    /// The last hidden states (T, C) of sequences that lie end to end.
    func hidden(_ tokens: [Int], lengths: [Int], caches: [KeyValueCache] = []) throws -> Tensor {
        let starts = caches.isEmpty ? lengths.map { _ in 0 } : caches.map(\.count)
        let places = zip(starts, lengths).flatMap { start, length in start..<(start + length) }
        let batch = SequenceBatch(
            positions: try Tensor(places).to(placement.device), lengths: lengths,
            rope: try rope.tables((places.max() ?? 0) + 1), caches: caches
        )
        var x = try model.embedTokens(Tensor(tokens).to(placement.device)).to(placement.dtype)
        let recomputes = checkpointsGradients && caches.isEmpty
        if recomputes { try x.requiresGrad(true) }
        for layer in model.layers {
            x = recomputes ? try checkpoint(x) { try layer($0, batch) } : try layer(x, batch)
        }
        for (cache, length) in zip(caches, lengths) { cache.count += length }
        return try model.norm(x)
    }

    /// The summed loss over sequences that lie end to end: `labels` hold at each place the token that should come
    /// next, or -100 where nothing is learnt.
    public func loss(_ tokens: [Int], labels: [Int], lengths: [Int]) throws -> Tensor {
        let labels = try Tensor(labels).to(placement.device)
        return try crossEntropy(hidden(tokens, lengths: lengths), labels: labels, head: head)
    }

    /// The logits (T, vocabulary) at every place.
    public func logits(_ tokens: [Int], lengths: [Int]) throws -> Tensor {
        try linear(hidden(tokens, lengths: lengths), [head])
    }

    /// The logits (sequences, vocabulary) after the last token of each sequence, which its cache then holds.
    func nextLogits(_ sequences: [[Int]], caches: [KeyValueCache]) throws -> Tensor {
        let lengths = sequences.map(\.count)
        let states = try hidden(sequences.flatMap { $0 }, lengths: lengths, caches: caches)
        var end = 0
        let last = lengths.map { length in
            end += length
            return end - 1
        }
        let chosen = try states.indexSelect(0, Tensor(last).to(placement.device))
        return try linear(chosen, [head])
    }
}
