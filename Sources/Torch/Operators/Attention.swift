// libtorch's own attention.

/// Softmax attention without a mask: q (B, H, T, D), k and v (B, K, S, D).
public func scaledDotProductAttention(_ q: Tensor, _ k: Tensor, _ v: Tensor, groupedQueries: Bool) throws -> Tensor {
    try aten.attention(q, k, v, Tensor?.none, 0.0, false, Double?.none, groupedQueries)
}

extension aten {
    static let attention = Operator(
        """
        scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, \
        float dropout_p=0., bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor
        """
    )
}
