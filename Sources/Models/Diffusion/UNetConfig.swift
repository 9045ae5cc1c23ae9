// What a UNet is made of, from its `config.json`.

import Formats
import Foundation

/// The fields of a `UNet2DConditionModel`'s `config.json` that this port reads; others are checked or ignored.
public struct UNetConfig: Sendable, Equatable {
    public var inChannels, outChannels: Int
    /// Channels of each level, the finest first.
    public var blockChannels: [Int]
    public var layersPerBlock: Int
    /// Heads of attention at each level; 0 where the level has none.
    public var heads: [Int]
    /// Transformer blocks at each level.
    public var transformerLayers: [Int]
    /// Whether a level attends to the text, on the way down.
    public var attends: [Bool]
    /// Size of a token of text.
    public var contextSize: Int
    public var groups: Int
    public var normEpsilon: Double
    public var usesLinearProjection: Bool
    /// Height and width of the latents that the model was trained on.
    public var sampleSize: Int
}

extension UNetConfig {
    /// The fields as the file has them.
    private struct File: Decodable {
        let inChannels, outChannels, layersPerBlock, sampleSize: Int?
        let blockOutChannels: [Int]?
        let downBlockTypes, upBlockTypes: [String]?
        let crossAttentionDim, normNumGroups: Int?
        let attentionHeadDim, numAttentionHeads, transformerLayersPerBlock: OneOrMany?
        let normEps: Double?
        let useLinearProjection: Bool?
    }

    /// Fields that change what the network computes, each with the only value that this port knows.
    private static let fixed: [String: Scalar] = [
        "act_fn": .text("silu"), "addition_embed_type": .none, "attention_type": .text("default"),
        "center_input_sample": .truth(false), "class_embed_type": .none, "conv_in_kernel": .number(3),
        "conv_out_kernel": .number(3), "cross_attention_norm": .none, "downsample_padding": .number(1),
        "dual_cross_attention": .truth(false), "encoder_hid_dim_type": .none, "flip_sin_to_cos": .truth(true),
        "freq_shift": .number(0), "mid_block_scale_factor": .number(1),
        "mid_block_type": .text("UNetMidBlock2DCrossAttn"), "num_class_embeds": .none,
        "only_cross_attention": .truth(false), "resnet_out_scale_factor": .number(1),
        "resnet_skip_time_act": .truth(false), "resnet_time_scale_shift": .text("default"),
        "reverse_transformer_layers_per_block": .none, "time_embedding_act_fn": .none, "time_embedding_dim": .none,
        "time_embedding_type": .text("positional"), "timestep_post_act": .none,
    ]

    /// A value of one of these fields.
    private enum Scalar: Decodable, Equatable {
        case none, truth(Bool), number(Double), text(String), other

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .none
            } else if let truth = try? container.decode(Bool.self) {
                self = .truth(truth)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = (try? container.decode(String.self)).map(Scalar.text) ?? .other
            }
        }

        var words: String {
            switch self {
            case .none: "null"
            case .truth(let value): "\(value)"
            case .number(let value): "\(value)"
            case .text(let value): "'\(value.prefix(60))'"
            case .other: "a list"
            }
        }
    }

    /// A number for all levels, or one for each.
    private enum OneOrMany: Decodable {
        case one(Int), many([Int])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            self = try (try? container.decode(Int.self)).map(OneOrMany.one) ?? .many(container.decode([Int].self))
        }

        func values(_ count: Int) -> [Int] {
            switch self {
            case .one(let value): Array(repeating: value, count: count)
            case .many(let values): values
            }
        }
    }

    /// Reads `unet/config.json`.
    public init(file url: URL) throws {
        let file = try ModelFile.decode(File.self, url)
        let refuse = { (problem: String) in ModelError.config(file: url.path, problem: problem) }
        let channels = file.blockOutChannels ?? [320, 640, 1280, 1280]
        guard (1...8).contains(channels.count) else { throw refuse("a network of \(channels.count) levels") }
        let down =
            file.downBlockTypes ?? Array(repeating: "CrossAttnDownBlock2D", count: channels.count - 1) + ["DownBlock2D"]
        for kind in down where !["CrossAttnDownBlock2D", "DownBlock2D"].contains(kind) {
            throw refuse("a block of type '\(kind)' is not read here")
        }
        let attends = down.map { $0 == "CrossAttnDownBlock2D" }
        let up = attends.reversed().map { $0 ? "CrossAttnUpBlock2D" : "UpBlock2D" }
        guard down.count == channels.count, file.upBlockTypes ?? up == up else {
            throw refuse("its levels down and up are not the same, which is not read here")
        }
        let values = try ModelFile.decode([String: Scalar].self, url, strategy: .useDefaultKeys)
        for (name, expected) in Self.fixed.sorted(by: { $0.key < $1.key }) {
            guard let value = values[name], value != .none, value != expected else { continue }
            throw refuse("'\(name)' is \(value.words); only Stable Diffusion's \(expected.words) is read")
        }
        // What old files call the size of a head is the number of heads (diffusers issue 2011).
        let heads = (file.numAttentionHeads ?? file.attentionHeadDim ?? .one(8)).values(channels.count)
        self.init(
            inChannels: file.inChannels ?? 4, outChannels: file.outChannels ?? 4, blockChannels: channels,
            layersPerBlock: file.layersPerBlock ?? 2, heads: heads,
            transformerLayers: (file.transformerLayersPerBlock ?? .one(1)).values(channels.count), attends: attends,
            contextSize: file.crossAttentionDim ?? 1280, groups: file.normNumGroups ?? 32,
            normEpsilon: file.normEps ?? 1e-5, usesLinearProjection: file.useLinearProjection ?? false,
            sampleSize: file.sampleSize ?? 64
        )
        try check(url.path)
    }

    /// Refuses dimensions that no model has, before anything is computed with them.
    func check(_ file: String) throws {
        let levels = blockChannels.count
        let sizes = blockChannels + heads + transformerLayers + [inChannels, outChannels, layersPerBlock, contextSize]
        let areSizes = (sizes + [groups, sampleSize]).allSatisfy { $0 > 0 && $0 <= 1 << 16 }
        let areLevels = [heads.count, transformerLayers.count].allSatisfy { $0 == levels } && levels > 0 && levels <= 8
        guard areSizes, areLevels, blockChannels.allSatisfy({ $0.isMultiple(of: groups) && $0.isMultiple(of: 2) }),
            zip(blockChannels, heads).allSatisfy({ $0.isMultiple(of: $1) })
        else {
            throw ModelError.config(
                file: file,
                problem: "these do not go together: channels \(blockChannels), heads \(heads), \(groups) groups")
        }
    }
}

/// Reading the JSON files of model folders.
enum ModelFile {
    /// Keys in snake case; a missing one is named with the file.
    static func decode<T: Decodable>(
        _: T.Type, _ url: URL, strategy: JSONDecoder.KeyDecodingStrategy = .convertFromSnakeCase
    ) throws -> T {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw ModelError.config(
                file: url.path, problem: "no such file, or no permission to read it; is the download complete?")
        }
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = strategy
            return try decoder.decode(T.self, from: data)
        } catch let error as DecodingError {
            throw ModelError.config(file: url.path, problem: error.inWords)
        }
    }
}
