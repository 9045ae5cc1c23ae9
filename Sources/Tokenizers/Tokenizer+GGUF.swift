// The tokenizer that a GGUF file carries in its metadata.
// Facts: llama.cpp's `src/llama-vocab.cpp` (kinds of vocabulary, names of pre-tokenizers, order of merges).

import Formats
import Foundation

extension Tokenizer {
    /// Reads the vocabulary, the merges, the special tokens and the chat template of a GGUF file.
    public convenience init(gguf: GGUFFile) throws {
        let reader = GGUFTokenizerReader(gguf: gguf)
        let stages = try reader.stages()
        try self.init(stages, try reader.specialTokens(), folder: nil)
    }
}

/// Builds the stages from `tokenizer.ggml.*`.
struct GGUFTokenizerReader {
    let gguf: GGUFFile

    /// What `tokenizer.ggml.token_type` says of a token.
    private enum Kind: Int { case normal = 1, unknown, control, userDefined, unused, byte }

    /// The pre-tokenizers of byte-level vocabularies by the names that llama.cpp gives them.
    private static let preTokenizers: [String: [PreTokenizer.Stage]] = [
        "default": [.split(.gpt2)], "gpt-2": [.split(.gpt2)], "smollm": [.split(.singleDigits), .split(.gpt2)],
        "llama-bpe": [.split(.llama3(digits: 3))], "llama3": [.split(.llama3(digits: 3))],
        "llama-v3": [.split(.llama3(digits: 3))], "qwen2": [.split(.llama3(digits: 1))],
        "deepseek-r1-qwen": [.split(.llama3(digits: 1))],
    ]

    private var file: String { gguf.file.url.path }

    /// The stages that the metadata describe.
    func stages() throws -> TokenizerStages {
        switch try gguf.string("tokenizer.ggml.model") {
        case "gpt2": try byteLevelStages()
        case "llama": try sentencePieceStages()
        case let other:
            throw TokenizerError.unsupported(
                file: file, key: "tokenizer.ggml.model", got: "'\(other)'",
                supported: ["'gpt2' (byte-level BPE)", "'llama' (SentencePiece BPE)"])
        }
    }

    private func byteLevelStages() throws -> TokenizerStages {
        let name = gguf.metadata["tokenizer.ggml.pre"]?.string ?? "default"
        guard let splits = Self.preTokenizers[name] else {
            throw TokenizerError.unsupported(
                file: file, key: "tokenizer.ggml.pre", got: "'\(name)'",
                supported: Self.preTokenizers.keys.sorted().map { "'\($0)'" })
        }
        let (vocabulary, added) = try tokens()
        let special = Set(added.filter(\.isSpecial).map(\.id))
        let isQwen = splits == [.split(.llama3(digits: 1))]
        return TokenizerStages(
            normalizer: Normalizer(steps: isQwen ? [.composition] : []),
            preTokenizer: PreTokenizer(stages: splits, isByteLevel: true),
            model: BytePairModel(
                vocabulary: vocabulary, merges: try merges(vocabulary, protected: special),
                symbols: .spelledBytes(vocabulary), takesWholePieces: splits == [.split(.llama3(digits: 3))],
                specialIDs: special),
            decoder: .byteLevel, added: added, file: file)
    }

    private func sentencePieceStages() throws -> TokenizerStages {
        let (vocabulary, added) = try tokens()
        guard let scores = gguf.metadata["tokenizer.ggml.scores"]?.reals, scores.count >= vocabulary.idLimit else {
            throw malformed("tokenizer.ggml.scores", "\(vocabulary.idLimit) numbers, one a token")
        }
        let prefixed = gguf.metadata["tokenizer.ggml.add_space_prefix"]?.bool ?? true
        let replacing = Normalizer.Step.replacing([UInt8(ascii: " ")], with: PreTokenizer.Metaspace.mark)
        let kinds = gguf.metadata["tokenizer.ggml.token_type"]?.integers ?? []
        let mergeable = (0..<vocabulary.idLimit).filter { id in
            id >= kinds.count || kinds[id] == Kind.normal.rawValue || kinds[id] == Kind.userDefined.rawValue
        }
        var stages = TokenizerStages(
            normalizer: Normalizer(steps: (prefixed ? [.prepending(PreTokenizer.Metaspace.mark)] : []) + [replacing]),
            preTokenizer: PreTokenizer(stages: [], isByteLevel: false),
            model: BytePairModel(
                vocabulary: vocabulary, merges: MergeTable(scores: scores, of: mergeable, in: vocabulary),
                symbols: .characters(vocabulary, fallsBackToBytes: true), unknownID: id("unknown_token_id"),
                fusesUnknown: true, specialIDs: Set(added.filter(\.isSpecial).map(\.id))),
            decoder: .sentencePiece(stripsSpace: prefixed, readsBytes: true), added: added, file: file)
        stages.cutAtMarksWhenSafe()
        return stages
    }

    // MARK: - Tokens and merges

    private func tokens() throws -> (Vocabulary, [AddedToken]) {
        let tokens = try gguf.strings("tokenizer.ggml.tokens")
        guard !tokens.isEmpty, tokens.count <= Vocabulary.maximumCount else {
            throw malformed("tokenizer.ggml.tokens", "1 to \(Vocabulary.maximumCount) tokens")
        }
        let kinds = gguf.metadata["tokenizer.ggml.token_type"]?.integers ?? []
        var vocabulary = Vocabulary(capacity: tokens.count)
        var added: [AddedToken] = []
        for id in tokens.indices {
            tokens.withBytes(id) { vocabulary.insert($0.bindMemory(to: UInt8.self), id: id) }
            guard id < kinds.count, let kind = Kind(rawValue: kinds[id]) else { continue }
            if kind == .control || kind == .unknown || kind == .userDefined {
                added.append(AddedToken(content: tokens[id], id: id, isSpecial: kind != .userDefined))
            }
        }
        return (vocabulary, added)
    }

    private func merges(_ vocabulary: Vocabulary, protected: Set<Int>) throws -> MergeTable {
        let merges = try gguf.strings("tokenizer.ggml.merges")
        var table = MergeTable(capacity: merges.count)
        var joined: [UInt8] = []
        for rank in merges.indices {
            try merges.withBytes(rank) { raw in
                let merge = raw.bindMemory(to: UInt8.self)
                guard let space = merge.dropFirst().firstIndex(of: UInt8(ascii: " ")) else {
                    throw badMerge(rank, "'\(merges[rank])'")
                }
                joined.removeAll(keepingCapacity: true)
                joined.append(contentsOf: merge[..<space])
                joined.append(contentsOf: merge[(space + 1)...])
                guard let left = vocabulary.id(of: UnsafeBufferPointer(rebasing: merge[..<space])),
                    let right = vocabulary.id(of: UnsafeBufferPointer(rebasing: merge[(space + 1)...])),
                    let result = vocabulary.id(of: joined)
                else { throw badMerge(rank, "'\(merges[rank])', of which the vocabulary lacks a part") }
                if !protected.contains(result) { table.insert(left: left, right: right, result: result, rank: rank) }
            }
        }
        return table
    }

    private func badMerge(_ rank: Int, _ got: String) -> TokenizerError {
        .malformed(
            file: file, key: "tokenizer.ggml.merges[\(rank)]",
            expected: "two tokens of the vocabulary that make a third", got: got)
    }

    private func malformed(_ key: String, _ expected: String) -> TokenizerError {
        .malformed(file: file, key: key, expected: expected, got: gguf.metadata[key]?.kind ?? "nothing")
    }

    // MARK: - Special tokens

    /// The special tokens by role, and the chat template.
    func specialTokens() throws -> SpecialTokens {
        let tokens = try gguf.strings("tokenizer.ggml.tokens")
        func name(_ key: String) -> String? { id(key).flatMap { tokens.indices.contains($0) ? tokens[$0] : nil } }
        let addsByDefault: Bool =
            switch (try gguf.string("tokenizer.ggml.model"), gguf.metadata["tokenizer.ggml.pre"]?.string) {
            case ("llama", _), (_, "llama-bpe"), (_, "llama3"), (_, "llama-v3"): true
            default: false
            }
        return SpecialTokens(
            bos: name("bos_token_id"), eos: name("eos_token_id"), pad: name("padding_token_id"),
            unknown: name("unknown_token_id"),
            addsBOS: gguf.metadata["tokenizer.ggml.add_bos_token"]?.bool ?? addsByDefault,
            chatTemplate: gguf.metadata["tokenizer.chat_template"]?.string,
            endIDs: Set([id("eot_token_id"), id("eom_token_id")].compactMap(\.self)))
    }

    private func id(_ key: String) -> Int? {
        let count = gguf.metadata["tokenizer.ggml.tokens"]?.strings?.count ?? 0
        return (gguf.metadata["tokenizer.ggml.\(key)"]?.integer).flatMap { (0..<count).contains($0) ? $0 : nil }
    }
}

extension MergeTable {
    /// SentencePiece's merges: any two tokens that make a third, the third with the highest score first.
    init(scores: [Double], of ids: [Int], in vocabulary: Vocabulary) {
        self.init(capacity: ids.count * 2)
        let allowed = Set(ids)
        var (rank, last) = (-1, Double.infinity)
        for id in ids.sorted(by: { scores[$0] > scores[$1] }) {
            if scores[id] < last || rank < 0 { (rank, last) = (rank + 1, scores[id]) }
            guard let token = vocabulary.bytes(of: id) else { continue }
            for cut in token.indices.dropFirst() where token[cut] & 0xC0 != 0x80 {
                let left = vocabulary.id(of: Array(token[..<cut]))
                let right = vocabulary.id(of: Array(token[cut...]))
                if let left, let right, allowed.contains(left), allowed.contains(right) {
                    insert(left: left, right: right, result: id, rank: rank)
                }
            }
        }
    }
}
