// CLIP's tokenizer from the files of a diffusers folder: `tokenizer.json`, or `vocab.json` with `merges.txt`.

import Foundation

/// The special tokens of CLIP by their roles.
struct CLIPRoles {
    var start, end, unknown, pad: AddedToken

    /// Reads `tokenizer_config.json` and `special_tokens_map.json` of a folder, if there is one.
    init(folder: URL?, padding: String?) throws {
        let config = try folder.flatMap { try SpecialTokens.part("tokenizer_config.json", in: $0) }
        let map = try folder.flatMap { try SpecialTokens.part("special_tokens_map.json", in: $0) }
        // As transformers does: the map is older, and holds where the configuration does not list its tokens. So pads
        // Stable Diffusion 2 with `!`, though its configuration says otherwise.
        let parts = config?["added_tokens_decoder"] == nil ? [map, config] : [config, map]
        func token(_ role: String, _ usual: String) throws -> AddedToken {
            guard let part = parts.lazy.compactMap({ $0?[role] }).first else { return AddedToken(special: usual) }
            if let name = part.value.string { return AddedToken(special: name) }
            guard part.value.object != nil else { throw part.mismatch("a string or an object with 'content'") }
            var token = try AddedToken(part, id: 0)
            token.isSpecial = true
            token.isNormalized = try part.boolean("normalized") ?? false
            return token
        }
        let end = "<|endoftext|>"
        start = try token("bos_token", "<|startoftext|>")
        self.end = try token("eos_token", end)
        unknown = try token("unk_token", end)
        pad = try token("pad_token", padding ?? end)
    }

    /// Each token once; of several with the same spelling, the last one says how it is looked for.
    var distinct: [AddedToken] {
        [start, end, unknown, pad].reduce(into: []) { tokens, token in
            if let place = tokens.firstIndex(where: { $0.content == token.content }) {
                tokens[place] = token
            } else {
                tokens.append(token)
            }
        }
    }
}

extension AddedToken {
    /// A special token that is looked for as it is written; its id is not known yet.
    fileprivate init(special content: String) { self.init(content: content, id: 0) }
}

extension TokenizerStages {
    /// What CLIP's vocabularies put behind the last character of a word.
    static let clipWordEnd = "</w>"

    private static let remedy = "the folder needs tokenizer.json, or vocab.json and merges.txt: fetch it again"

    /// Reads the files of a CLIP tokenizer and adds its special tokens.
    init(clipFolder folder: URL, roles: CLIPRoles) throws {
        let hub = folder.appendingPathComponent("tokenizer.json")
        if FileManager.default.fileExists(atPath: hub.path) {
            try self.init(folder: folder)
            try checkCLIP()
        } else {
            try self.init(vocabularyIn: folder)
            try addTokens(fromConfigIn: folder)
            model.unknownID = try requiredID(of: roles.unknown)
        }
        try add(roles)
    }

    /// Reads one `tokenizer.json`, whatever its name.
    init(clipFile file: URL, roles: CLIPRoles) throws {
        guard let text = try JSONText(contentsOf: file) else {
            throw TokenizerError.unusableFile(
                file: file.path, reason: "no such file", remedy: "name the tokenizer.json")
        }
        try self.init(text)
        try checkCLIP()
        try add(roles)
    }

    private func checkCLIP() throws {
        guard case .bytes(_, last: .some) = model.symbols else {
            throw TokenizerError.unsupported(
                file: file, key: "model", got: "not CLIP's kind of tokenizer",
                supported: ["byte-level BPE with 'end_of_word_suffix' here"])
        }
    }

    private mutating func add(_ roles: CLIPRoles) throws {
        let known = Set(added.map(\.content))
        for var token in roles.distinct where !known.contains(token.content) {
            token.id = try requiredID(of: token)
            added.append(token)
        }
    }

    /// The id of a special token that the vocabulary must have.
    func requiredID(of token: AddedToken) throws -> Int {
        guard let id = id(of: token.content) else {
            throw TokenizerError.malformed(
                file: file, key: token.content, expected: "a token of the vocabulary", got: "nothing")
        }
        return id
    }

    /// The stages that all CLIP tokenizers share, with the vocabulary and the merges of `folder`.
    private init(vocabularyIn folder: URL) throws {
        var text = try Self.text("vocab.json", in: folder)
        let vocabulary = try BytePairModelReader.vocabulary(&text, path: "vocabulary")
        try text.expectEnd()
        let merges = try Self.merges(try Self.text("merges.txt", in: folder), vocabulary)
        self.init(
            normalizer: Normalizer(steps: [.composition, .replacingSpaces(with: Array(" ".utf8)), .lowercasing]),
            preTokenizer: PreTokenizer(
                stages: [.split(.clip(keepsMarks: true)), .split(.gpt2)], isByteLevel: true),
            model: BytePairModel(
                vocabulary: vocabulary, merges: merges,
                symbols: .spelledBytes(vocabulary, wordEnd: Self.clipWordEnd)),
            decoder: .byteLevel, file: text.file)
    }

    private static func text(_ name: String, in folder: URL) throws -> JSONText {
        let url = folder.appendingPathComponent(name)
        guard let text = try JSONText(contentsOf: url) else {
            throw TokenizerError.unusableFile(file: url.path, reason: "no such file", remedy: remedy)
        }
        return text
    }

    /// A merge a line, the most frequent first; a line with the version stands before them.
    private static func merges(_ text: JSONText, _ vocabulary: Vocabulary) throws -> MergeTable {
        var table = MergeTable(capacity: vocabulary.count)
        var rank = 0
        let lines = text.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.isEmpty || line.starts(with: Array("#version".utf8)) { continue }
            let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
                throw TokenizerError.malformed(
                    file: text.file, key: "line \(index + 1)", expected: "two tokens with a space between",
                    got: "'\(String(decoding: line.prefix(60), as: UTF8.self))'")
            }
            var first = Array(parts[0])
            let merge = try vocabulary.merge(of: &first, Array(parts[1])) { absent in
                .malformed(
                    file: text.file, key: "line \(index + 1)", expected: "two tokens of vocab.json that make a third",
                    got: "'\(absent)', which vocab.json lacks")
            }
            table.insert(left: merge.left, right: merge.right, result: merge.result, rank: rank)
            rank += 1
        }
        return table
    }
}
