// Keys and values of the tokens that a sequence has so far, so that each new token is computed alone.

import NN
import Torch

/// Keys and values of one sequence, in every layer.
final class KeyValueCache {
    /// Tokens that all layers hold.
    var count = 0
    private var keys: [Tensor?]
    private var values: [Tensor?]
    private let capacity: Int

    init(layers: Int, capacity: Int) {
        keys = Array(repeating: nil, count: layers)
        values = keys
        self.capacity = capacity
    }

    /// Adds (T, K, D) to a layer and returns all of its keys and values, (count + T, K, D).
    func append(_ k: Tensor, _ v: Tensor, layer: Int) throws -> (Tensor, Tensor) {
        let length = k.shape[0]
        guard count + length <= capacity else {
            throw TorchError.failed("a sequence of \(count + length) tokens outgrew its cache of \(capacity)")
        }
        let shape = [capacity] + k.shape.dropFirst()
        let allKeys = try keys[layer] ?? .zeros(shape, k.dtype, on: k.device)
        let allValues = try values[layer] ?? .zeros(shape, v.dtype, on: v.device)
        try allKeys.narrow(0, count, length).copy(from: k)
        try allValues.narrow(0, count, length).copy(from: v)
        (keys[layer], values[layer]) = (allKeys, allValues)
        return (try allKeys.narrow(0, 0, count + length), try allValues.narrow(0, 0, count + length))
    }
}

/// Attention of one new token, q (1, H, D), over all keys and values (S, K, D): (1, H, D).
func cachedAttention(_ q: Tensor, _ k: Tensor, _ v: Tensor) throws -> Tensor {
    let heads = { (x: Tensor) in try x.transpose(0, 1).unsqueeze(0) }  // (1, H, S, D)
    return try scaledDotProductAttention(heads(q), heads(k), heads(v), groupedQueries: true)
        .view(1, q.shape[1], q.shape[2])
}
