// Configurations of models that come without one, from the shapes of their tensors. What no shape tells (heads, groups,
// activation, scaling) is as in every Stable Diffusion that was trained.

import Formats

/// The shapes of a model's tensors by its own keys.
struct TensorShapes {
    /// The file, for messages.
    let path: String
    let tensors: [String: StoredTensor]

    /// The shape of a tensor that every model of this kind has.
    func shape(_ key: String, dimensions: Int) throws -> [Int] {
        guard let shape = tensors[key]?.shape, shape.count == dimensions else {
            let got = tensors[key].map { "'\(key)' is \($0.shape), \(dimensions) dimensions expected" }
            throw ModelError.config(file: path, problem: "\(got ?? "lacks '\(key)'"); is the download complete?")
        }
        return shape
    }

    /// How many of a row of tensors there are, from number 0 on.
    func count(_ key: (Int) -> String) -> Int {
        var count = 0
        while tensors[key(count)] != nil { count += 1 }
        return count
    }

    /// Groups of a group norm: 32, or fewer where they would not divide the channels.
    fileprivate static func groups(_ channels: [Int]) -> Int {
        [32, 16, 8, 4, 2].first { groups in channels.allSatisfy { $0.isMultiple(of: groups) } } ?? 1
    }
}

extension UNetConfig {
    /// - Parameter kind: decides the number of heads: 8 at each level, or a head for every 64 channels.
    init(_ shapes: TensorShapes, kind: PictureBase.Kind) throws {
        let levels = shapes.count { "down_blocks.\($0).resnets.0.conv1.weight" }
        let channels = try (0..<levels).map {
            try shapes.shape("down_blocks.\($0).resnets.0.conv1.weight", dimensions: 4)[0]
        }
        func transformers(_ block: String) -> Int {
            shapes.count { "\(block).attentions.0.transformer_blocks.\($0).attn2.to_k.weight" }
        }
        let middle = transformers("mid_block"), layers = (0..<levels).map { transformers("down_blocks.\($0)") }
        let context = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
        self.init(
            inChannels: try shapes.shape("conv_in.weight", dimensions: 4)[1],
            outChannels: try shapes.shape("conv_out.weight", dimensions: 4)[0], blockChannels: channels,
            layersPerBlock: shapes.count { "down_blocks.0.resnets.\($0).conv1.weight" },
            heads: channels.map { kind == .stableDiffusion1 ? 8 : max(1, $0 / 64) },
            transformerLayers: layers.dropLast().map { max(1, $0) } + [middle], attends: layers.map { $0 > 0 },
            contextSize: try shapes.shape(context, dimensions: 2)[1], groups: TensorShapes.groups(channels),
            normEpsilon: 1e-5, usesLinearProjection: kind == .stableDiffusion2, sampleSize: 64)
        try check(shapes.path)
    }
}

extension AutoencoderConfig {
    /// Stable Diffusion 1's and 2's.
    static let usualScalingFactor = 0.18215

    init(_ shapes: TensorShapes, scalingFactor: Double) throws {
        let levels = shapes.count { "encoder.down_blocks.\($0).resnets.0.conv1.weight" }
        let channels = try (0..<levels).map {
            try shapes.shape("encoder.down_blocks.\($0).resnets.0.conv1.weight", dimensions: 4)[0]
        }
        self.init(
            inChannels: try shapes.shape("encoder.conv_in.weight", dimensions: 4)[1],
            outChannels: try shapes.shape("decoder.conv_out.weight", dimensions: 4)[0],
            latentChannels: try shapes.shape("decoder.conv_in.weight", dimensions: 4)[1], blockChannels: channels,
            layersPerBlock: shapes.count { "encoder.down_blocks.0.resnets.\($0).conv1.weight" },
            groups: TensorShapes.groups(channels), scalingFactor: scalingFactor)
        try check(shapes.path)
    }
}

extension CLIPTextConfig {
    /// CLIP's heads have 64 numbers each, in its own sizes and in OpenCLIP's.
    init(_ shapes: TensorShapes, activation: String) throws {
        let layer = { (index: Int) in "text_model.encoder.layers.\(index).mlp.fc1.weight" }
        let tokens = try shapes.shape("text_model.embeddings.token_embedding.weight", dimensions: 2)
        let positions = try shapes.shape("text_model.embeddings.position_embedding.weight", dimensions: 2)
        self.init(
            vocabularySize: tokens[0], hiddenSize: tokens[1],
            intermediateSize: try shapes.shape(layer(0), dimensions: 2)[0], layers: shapes.count(layer),
            heads: max(1, tokens[1] / 64), maxPositions: positions[0], normEpsilon: 1e-5, activation: activation)
        try check(shapes.path)
    }
}
