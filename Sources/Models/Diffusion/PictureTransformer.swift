// The transformer between convolutions: pixels look at each other and at the text.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/transformers/transformer_2d.py
// (with ../attention.py and ../attention_processor.py).
//
// B pictures, T tokens (pixels), S tokens of text, C channels, H heads, D head size.

import NN
import Torch

/// Softmax attention of tokens over themselves or over a context.
final class PictureAttention: Module {
    let toQ, toK, toV: Linear
    let toOut: [Linear]
    private let heads: Int

    init(_ channels: Int, contextSize: Int? = nil, heads: Int, bias: Bool = false) {
        toQ = Linear(channels, channels, bias: bias)
        toK = Linear(contextSize ?? channels, channels, bias: bias)
        toV = Linear(contextSize ?? channels, channels, bias: bias)
        toOut = [Linear(channels, channels, bias: true)]
        self.heads = heads
    }

    /// `x` (B, T, C) over itself, or over `context` (B, S, ·), added to `residual` (B, T, C).
    func callAsFunction(_ x: Tensor, context: Tensor? = nil, residual: Tensor) throws -> Tensor {
        let (B, C) = (x.shape[0], x.shape[2])
        func split(_ x: Tensor) throws -> Tensor { try x.view(B, x.shape[1], heads, C / heads).transpose(1, 2) }
        let parts =
            if let context {
                try [toQ(x)] + joined([toK, toV], context).split([C, C], dim: -1)
            } else {
                try joined([toQ, toK, toV], x).split([C, C, C], dim: -1)
            }
        let y = try pictureAttention(split(parts[0]), split(parts[1]), split(parts[2]))  // (B, H, T, D)
        return try toOut[0](y.transpose(1, 2).reshape(B, -1, C), residual: residual)
    }
}

/// A linear layer whose second half, through GELU, gates the first (Shazeer, arXiv:2002.05202).
final class GEGLU: Module {
    let proj: Linear

    init(_ inputs: Int, _ outputs: Int) { proj = Linear(inputs, 2 * outputs, bias: true) }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try geglu(proj(x)) }
}

final class PictureFeedForward: Module {
    let net: Layers

    /// A list in the reference, whose second layer is dropout, which Stable Diffusion does not use.
    final class Layers: Module {
        let gate: GEGLU
        let output: Linear

        init(_ channels: Int) {
            gate = GEGLU(channels, 4 * channels)
            output = Linear(4 * channels, channels, bias: true)
        }

        override class var keys: [String: String] { ["gate": "0", "output": "2"] }
    }

    init(_ channels: Int) { net = Layers(channels) }

    func callAsFunction(_ x: Tensor, residual: Tensor) throws -> Tensor {
        try net.output(net.gate(x), residual: residual)
    }
}

final class BasicTransformerBlock: Module {
    let norm1: LayerNorm
    let attn1: PictureAttention
    let norm2: LayerNorm
    let attn2: PictureAttention
    let norm3: LayerNorm
    let ff: PictureFeedForward

    init(_ channels: Int, contextSize: Int, heads: Int) {
        norm1 = LayerNorm(channels)
        attn1 = PictureAttention(channels, heads: heads)
        norm2 = LayerNorm(channels)
        attn2 = PictureAttention(channels, contextSize: contextSize, heads: heads)
        norm3 = LayerNorm(channels)
        ff = PictureFeedForward(channels)
    }

    func callAsFunction(_ x: Tensor, context: Tensor) throws -> Tensor {
        var x = try attn1(norm1(x), residual: x)
        x = try attn2(norm2(x), context: context, residual: x)
        return try ff(norm3(x), residual: x)
    }
}

/// Transformer blocks over the pixels of a feature map.
final class Transformer2DModel: Module {
    let norm: GroupNorm
    let projIn: Linear
    let transformerBlocks: [BasicTransformerBlock]
    let projOut: Linear

    /// - Parameter usesLinear: whether checkpoints hold the projections as matrices (SD 2, SDXL) or as convolutions of
    ///   one pixel (SD 1).
    init(_ channels: Int, contextSize: Int, heads: Int, layers: Int, groups: Int, usesLinear: Bool) {
        norm = GroupNorm(channels, groups: groups, epsilon: 1e-6)
        projIn = Linear(channels, channels, bias: true, kernel: usesLinear ? [] : [1, 1])
        transformerBlocks = (0..<layers).map { _ in
            BasicTransformerBlock(channels, contextSize: contextSize, heads: heads)
        }
        projOut = Linear(channels, channels, bias: true, kernel: usesLinear ? [] : [1, 1])
    }

    /// `x` (B, C, H, W) and the text (B, S, ·) → (B, C, H, W).
    func callAsFunction(_ x: Tensor, context: Tensor) throws -> Tensor {
        let (B, C, H, W) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        var tokens = try projIn(norm(x).view(B, C, H * W).transpose(1, 2))  // (B, H · W, C)
        for block in transformerBlocks { tokens = try block(tokens, context: context) }
        // Laid out as in the reference: libtorch's convolutions and norms are less exact with channels last.
        return try projOut(tokens).transpose(1, 2).contiguous().view(B, C, H, W) + x
    }
}
