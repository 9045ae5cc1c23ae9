// What a LLaMA-family model is made of, from `config.json` or from GGUF metadata.

import Formats
import Foundation
import NN

/// The dimensions and constants of a LLaMA-family decoder.
public struct LlamaConfig: Sendable, Equatable {
    /// `llama`, `mistral`, `qwen2`: the reference implementation's `model_type`.
    public var architecture: String
    /// C: the size of the hidden states.
    public var hiddenSize: Int
    /// The width of the feed-forward layers.
    public var intermediateSize: Int
    /// Decoder layers.
    public var layers: Int
    /// H: query heads of a layer.
    public var heads: Int
    /// Fewer than `heads` where queries are grouped (Ainslie et al., arXiv:2305.13245).
    public var keyValueHeads: Int
    /// D: the size of a head; even, and most often `hiddenSize / heads`.
    public var headSize: Int
    /// Rows of the embedding table.
    public var vocabularySize: Int
    /// Added to the mean square in RMSNorm (Zhang and Sennrich, arXiv:1910.07467).
    public var normEpsilon: Double
    /// θ of the rotary embedding (Su et al., arXiv:2104.09864).
    public var ropeBase: Double
    /// How the rotary frequencies are changed for longer contexts.
    public var ropeScaling: RotaryScaling
    /// Whether the head is the embedding table.
    public var tiesEmbeddings: Bool
    /// Biases on query, key and value.
    public var hasQueryBias: Bool
    /// A bias on the attention's output, too.
    public var hasOutputBias: Bool
    /// Biases on the feed-forward layers.
    public var hasFeedForwardBias: Bool
    /// Positions the model was trained for; nil where the file does not say.
    public var contextLength: Int?
}

// MARK: - From Hugging Face

extension LlamaConfig {
    /// Architectures that are read here.
    static let architectures = ["llama", "mistral", "qwen2"]

    /// The fields of `config.json` that are read; all others are ignored.
    private struct File: Decodable {
        let modelType: String
        let hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, vocabSize: Int
        let rmsNormEps: Double
        let numKeyValueHeads, headDim, maxPositionEmbeddings, slidingWindow: Int?
        let ropeTheta: Double?
        let ropeScaling, ropeParameters: Rope?
        let tieWordEmbeddings, attentionBias, mlpBias, useSlidingWindow: Bool?
        let hiddenAct: String?
    }
    private struct Rope: Decodable {
        let type, ropeType: String?
        let factor, lowFreqFactor, highFreqFactor, ropeTheta: Double?
        let originalMaxPositionEmbeddings: Int?
    }

    /// Reads the `config.json` of a Hugging Face folder.
    public init(folder: URL) throws {
        let url = folder.appendingPathComponent("config.json")
        let file: File
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let data = try Data(contentsOf: url)
            try Self.checkArchitecture(data, url)
            file = try decoder.decode(File.self, from: data)
        } catch let error as DecodingError {
            throw ModelError.config(file: url.path, problem: error.inWords)
        }
        guard file.hiddenAct ?? "silu" == "silu" else {
            throw ModelError.config(
                file: url.path, problem: "'hidden_act' is '\(file.hiddenAct ?? "")', expected 'silu'")
        }
        let rope = file.ropeParameters ?? file.ropeScaling
        let queryBias = file.modelType == "qwen2" || file.attentionBias == true
        let slides = file.modelType == "mistral" || file.useSlidingWindow == true
        self.init(
            architecture: file.modelType, hiddenSize: file.hiddenSize, intermediateSize: file.intermediateSize,
            layers: file.numHiddenLayers, heads: file.numAttentionHeads,
            keyValueHeads: file.numKeyValueHeads ?? file.numAttentionHeads,
            headSize: file.headDim ?? file.hiddenSize / max(1, file.numAttentionHeads),
            vocabularySize: file.vocabSize, normEpsilon: file.rmsNormEps,
            ropeBase: file.ropeTheta ?? rope?.ropeTheta ?? 10_000,
            ropeScaling: try Self.scaling(rope, file.maxPositionEmbeddings, url),
            tiesEmbeddings: file.tieWordEmbeddings ?? false, hasQueryBias: queryBias,
            hasOutputBias: file.modelType == "llama" && file.attentionBias == true,
            hasFeedForwardBias: file.mlpBias == true,
            contextLength: slides ? file.slidingWindow ?? file.maxPositionEmbeddings : file.maxPositionEmbeddings
        )
        try check(url.path)
    }

    private static func checkArchitecture(_ data: Data, _ url: URL) throws {
        struct Kind: Decodable { let model_type: String? }
        let kind = try JSONDecoder().decode(Kind.self, from: data).model_type
        guard let kind, architectures.contains(kind) else {
            throw ModelError.architecture(file: url.path, found: kind ?? "no 'model_type'")
        }
    }

    private static func scaling(_ rope: Rope?, _ length: Int?, _ url: URL) throws -> RotaryScaling {
        guard let rope, let type = rope.ropeType ?? rope.type else { return .none }
        switch (type, rope.factor) {
        case ("default", _): return .none
        case ("linear", let factor?) where factor > 0: return .linear(factor: factor)
        case ("llama3", let factor?) where factor > 0:
            return .llama3(
                factor: factor, lowFrequencyFactor: rope.lowFreqFactor ?? 1,
                highFrequencyFactor: rope.highFreqFactor ?? 4,
                originalLength: rope.originalMaxPositionEmbeddings ?? length ?? 8192
            )
        default:
            throw ModelError.config(
                file: url.path,
                problem:
                    "rope scaling '\(type)' with factor \(rope.factor.map { "\($0)" } ?? "none") is not read here; known "
                    + "are default, linear and llama3, the last two with a factor above 0"
            )
        }
    }
}

// MARK: - From GGUF

extension LlamaConfig {
    /// Reads the metadata of a GGUF file.
    public init(gguf: GGUFFile) throws {
        let name = gguf.file.url.path, kind = gguf.architecture
        guard ["llama", "qwen2"].contains(kind) else { throw ModelError.architecture(file: name, found: kind) }
        let (hidden, heads) = (
            try gguf.integer("\(kind).embedding_length"), try gguf.integer("\(kind).attention.head_count")
        )
        let headSize = gguf.metadata["\(kind).attention.key_length"]?.integer ?? hidden / max(1, heads)
        self.init(
            architecture: kind, hiddenSize: hidden,
            intermediateSize: try gguf.integer("\(kind).feed_forward_length"),
            layers: try gguf.integer("\(kind).block_count"), heads: heads,
            keyValueHeads: gguf.metadata["\(kind).attention.head_count_kv"]?.integer ?? heads, headSize: headSize,
            vocabularySize: try gguf.tensor("token_embd.weight").shape.first ?? 0,
            normEpsilon: try gguf.real("\(kind).attention.layer_norm_rms_epsilon"),
            ropeBase: gguf.metadata["\(kind).rope.freq_base"]?.real ?? 10_000,
            ropeScaling: try Self.scaling(gguf, kind, headSize: headSize),
            tiesEmbeddings: gguf.tensors["output.weight"] == nil,
            hasQueryBias: gguf.tensors["blk.0.attn_q.bias"] != nil,
            hasOutputBias: gguf.tensors["blk.0.attn_output.bias"] != nil,
            hasFeedForwardBias: gguf.tensors["blk.0.ffn_gate.bias"] != nil,
            contextLength: gguf.metadata["\(kind).context_length"]?.integer
        )
        try check(name)
    }

    private static func scaling(_ gguf: GGUFFile, _ kind: String, headSize: Int) throws -> RotaryScaling {
        if let stored = gguf.tensors["rope_freqs.weight"] {
            let divisors = try stored.floats().map(Double.init)
            guard divisors.count == headSize / 2, divisors.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw ModelError.config(
                    file: gguf.file.url.path,
                    problem: "'rope_freqs.weight' must hold \(headSize / 2) numbers above 0, one for each frequency")
            }
            return .divisors(divisors)
        }
        guard let type = gguf.metadata["\(kind).rope.scaling.type"]?.string, type != "none" else { return .none }
        guard type == "linear", let factor = gguf.metadata["\(kind).rope.scaling.factor"]?.real, factor > 0 else {
            throw ModelError.config(
                file: gguf.file.url.path, problem: "rope scaling '\(type)' is not read here; known are none, linear"
            )
        }
        return .linear(factor: factor)
    }

    /// Refuses dimensions that no model has, before anything is computed with them.
    private func check(_ file: String) throws {
        let sizes = [
            ("hidden size", hiddenSize), ("feed-forward size", intermediateSize), ("layers", layers), ("heads", heads),
            ("key-value heads", keyValueHeads), ("head size", headSize), ("vocabulary", vocabularySize),
        ]
        for (name, size) in sizes where size < 1 || size > 1 << 24 {
            throw ModelError.config(file: file, problem: "\(name) is \(size)")
        }
        let largest = max(heads * headSize, vocabularySize, intermediateSize)  // each factor is at most 2²⁴
        guard heads.isMultiple(of: keyValueHeads), headSize.isMultiple(of: 2), layers <= 10_000, largest <= 1 << 24
        else {
            let found = "\(heads) heads, \(keyValueHeads) key-value heads of \(headSize), \(layers) layers"
            throw ModelError.config(file: file, problem: "these do not go together: \(found)")
        }
    }
}

/// What is wrong with a base model.
public enum ModelError: Error, CustomStringConvertible {
    /// The file is of an architecture that is not read here.
    case architecture(file: String, found: String)
    /// What the file says of the model is incomplete, or does not go with itself, the data or this program.
    case config(file: String, problem: String)
    /// A prompt leaves no room for an answer in the context.
    case promptTooLong(tokens: Int, limit: Int)
    case token(Int, vocabulary: Int)

    public var description: String {
        switch self {
        case .architecture(let file, let found):
            "\(file): architecture '\(found)' is not supported; use a LLaMA, Mistral, SmolLM or Qwen2 model"
        case .config(let file, let problem): "\(file): \(problem)"
        case .token(let token, let vocabulary):
            "the tokenizer gives token \(token), but the model knows only \(vocabulary); do they belong together?"
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens, and the model was made for \(limit) with the answer; shorten it"
        }
    }
}
