// The text encoder of Stable Diffusion.
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/models/clip/modeling_clip.py
//
// B texts, T tokens of each (77), C hidden size, H heads, D head size.

import Formats
import Foundation
import NN
import Torch

/// The fields of a `CLIPTextModel`'s `config.json` that this port reads.
public struct CLIPTextConfig: Sendable, Equatable {
    public var vocabularySize, hiddenSize, intermediateSize, layers, heads, maxPositions: Int
    public var normEpsilon: Double
    /// `quick_gelu` or `gelu`.
    public var activation: String
}

extension CLIPTextConfig {
    private struct File: Decodable {
        let vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads: Int
        let maxPositionEmbeddings: Int?
        let layerNormEps: Double?
        let hiddenAct: String?
    }

    /// Reads `text_encoder/config.json`.
    public init(file url: URL) throws {
        let file = try ModelFile.decode(File.self, url)
        self.init(
            vocabularySize: file.vocabSize, hiddenSize: file.hiddenSize, intermediateSize: file.intermediateSize,
            layers: file.numHiddenLayers, heads: file.numAttentionHeads, maxPositions: file.maxPositionEmbeddings ?? 77,
            normEpsilon: file.layerNormEps ?? 1e-5, activation: file.hiddenAct ?? "quick_gelu")
        try check(url.path)
    }

    /// Refuses dimensions that no model has, before anything is computed with them.
    func check(_ file: String) throws {
        let sizes = [vocabularySize, hiddenSize, intermediateSize, layers, heads, maxPositions]
        guard sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }), layers <= 1000, hiddenSize.isMultiple(of: heads),
            ["quick_gelu", "gelu"].contains(activation)
        else {
            throw ModelError.config(
                file: file,
                problem: "these do not go together: hidden size \(hiddenSize), \(heads) heads, "
                    + "\(layers) layers, activation '\(activation)'")
        }
    }
}

final class CLIPAttention: Module {
    let qProj, kProj, vProj, outProj: Linear
    private let heads: Int

    init(_ config: CLIPTextConfig) {
        let size = config.hiddenSize
        qProj = Linear(size, size, bias: true)
        kProj = Linear(size, size, bias: true)
        vProj = Linear(size, size, bias: true)
        outProj = Linear(size, size, bias: true)
        heads = config.heads
    }

    /// (B · T, C) of texts that are `length` tokens long; each token looks at those before it.
    func callAsFunction(_ x: Tensor, length: Int, residual: Tensor) throws -> Tensor {
        let C = x.shape[1]
        let parts = try joined([qProj, kProj, vProj], x).split([C, C, C], dim: -1)
            .map { try $0.view(-1, heads, C / heads) }  // (B · T, H, D)
        let lengths = Array(repeating: length, count: x.shape[0] / length)
        let y = try attention(parts[0], parts[1], parts[2], lengths: lengths)
        return try outProj(y.reshape(-1, C), residual: residual)
    }
}

final class CLIPMLP: Module {
    let fc1, fc2: Linear
    private let isQuick: Bool

    init(_ config: CLIPTextConfig) {
        fc1 = Linear(config.hiddenSize, config.intermediateSize, bias: true)
        fc2 = Linear(config.intermediateSize, config.hiddenSize, bias: true)
        isQuick = config.activation == "quick_gelu"
    }

    func callAsFunction(_ x: Tensor, residual: Tensor) throws -> Tensor {
        let h = try fc1(x)
        return try fc2(isQuick ? h * (h * 1.702).sigmoid() : h.gelu(), residual: residual)
    }
}

final class CLIPEncoderLayer: Module {
    let selfAttn: CLIPAttention
    let layerNorm1: LayerNorm
    let mlp: CLIPMLP
    let layerNorm2: LayerNorm

    init(_ config: CLIPTextConfig) {
        selfAttn = CLIPAttention(config)
        layerNorm1 = LayerNorm(config.hiddenSize, epsilon: config.normEpsilon)
        mlp = CLIPMLP(config)
        layerNorm2 = LayerNorm(config.hiddenSize, epsilon: config.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, length: Int) throws -> Tensor {
        let x = try selfAttn(layerNorm1(x), length: length, residual: x)
        return try mlp(layerNorm2(x), residual: x)
    }
}

final class CLIPTextEmbeddings: Module {
    let tokenEmbedding, positionEmbedding: Embedding

    init(_ config: CLIPTextConfig) {
        tokenEmbedding = Embedding(config.vocabularySize, config.hiddenSize)
        positionEmbedding = Embedding(config.maxPositions, config.hiddenSize)
    }
}

final class CLIPEncoder: Module {
    let layers: [CLIPEncoderLayer]

    init(_ config: CLIPTextConfig) { layers = (0..<config.layers).map { _ in CLIPEncoderLayer(config) } }
}

final class CLIPTextTransformer: Module {
    let embeddings: CLIPTextEmbeddings
    let encoder: CLIPEncoder
    let finalLayerNorm: LayerNorm

    init(_ config: CLIPTextConfig) {
        embeddings = CLIPTextEmbeddings(config)
        encoder = CLIPEncoder(config)
        finalLayerNorm = LayerNorm(config.hiddenSize, epsilon: config.normEpsilon)
    }
}

/// Turns texts into states that a UNet attends to.
public final class CLIPTextModel: Module {
    let textModel: CLIPTextTransformer
    public let config: CLIPTextConfig
    public let placement: Placement

    public init(_ config: CLIPTextConfig, on placement: Placement) {
        (self.config, self.placement) = (config, placement)
        textModel = CLIPTextTransformer(config)
    }

    /// - Parameters:
    ///   - texts: token numbers, all of one length, start and end included.
    ///   - skipping: layers left off at the end, one less than what is called clip skip.
    /// - Returns: (B, T, C), normalised.
    public func callAsFunction(_ texts: [[Int]], skipping: Int = 0) throws -> Tensor {
        guard let length = texts.first?.count, length > 0, length <= config.maxPositions,
            texts.allSatisfy({ $0.count == length })
        else {
            throw TorchError.failed("texts of \(texts.map(\.count)) tokens; at most \(config.maxPositions), all alike")
        }
        let embeddings = textModel.embeddings
        let ids = try Tensor(texts.flatMap { $0 }).to(placement.device)
        let places = try Tensor(texts.flatMap { Array($0.indices) }).to(placement.device)
        var x = try (embeddings.tokenEmbedding(ids) + embeddings.positionEmbedding(places)).to(placement.dtype)
        for layer in textModel.encoder.layers.dropLast(skipping) { x = try layer(x, length: length) }
        return try textModel.finalLayerNorm(x).view(texts.count, length, -1)
    }
}
