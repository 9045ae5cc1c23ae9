// The reader of the `model` of `tokenizer.json`: vocabulary and merges, straight from the bytes of the file.

/// Builds a byte-pair model from the object called `model`.
struct BytePairModelReader {
    /// Whether tokens are spelled in GPT-2's alphabet of bytes.
    let isByteLevel: Bool
    /// Special tokens, which no merge may produce.
    let protected: Set<Int>

    /// Reads the model at the position of `text`.
    func read(_ text: inout JSONText) throws -> BytePairModel {
        let positions = try text.memberPositions(of: "model")
        let options = try options(text, positions)
        guard let vocabularyPosition = positions["vocab"] else { throw missing("model.vocab", "an object", text) }
        guard let mergesPosition = positions["merges"] else { throw missing("model.merges", "an array", text) }
        var reader = text.moved(to: vocabularyPosition)
        let vocabulary = try Self.vocabulary(&reader)
        reader = text.moved(to: mergesPosition)
        let merges = try merges(&reader, vocabulary)
        let fallsBack = try options.boolean("byte_fallback") ?? false
        let unknownID = try unknownID(options, vocabulary)
        return BytePairModel(
            vocabulary: vocabulary, merges: merges,
            symbols: isByteLevel
                ? try spelledBytes(vocabulary, options, hasUnknown: unknownID != nil)
                : .characters(vocabulary, fallsBackToBytes: fallsBack),
            unknownID: unknownID, fusesUnknown: try options.boolean("fuse_unk") ?? false,
            takesWholePieces: try options.boolean("ignore_merges") ?? false, specialIDs: protected)
    }

    // MARK: - Options

    /// Everything but the vocabulary and the merges, checked for what is not implemented.
    private func options(_ text: JSONText, _ positions: [String: Int]) throws -> JSONPart {
        var members: [String: JSONValue] = [:]
        for (key, position) in positions where key != "vocab" && key != "merges" {
            var reader = text.moved(to: position)
            members[key] = try reader.value()
        }
        let options = JSONPart(value: .object(members), file: text.file, path: "model")
        let type = try options.string("type") ?? "BPE"
        guard type == "BPE" else { throw options.unsupported("type", "'\(type)'", ["'BPE'"]) }
        for key in isByteLevel ? ["continuing_subword_prefix"] : ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = try options.string(key), !affix.isEmpty {
                throw options.unsupported(key, "'\(affix)'", ["null", "''"])
            }
        }
        if let dropout = options["dropout"], dropout.value != .number(0) {
            throw options.unsupported("dropout", dropout.value.kind, ["null", "0"])
        }
        return options
    }

    private func spelledBytes(
        _ vocabulary: Vocabulary, _ options: JSONPart, hasUnknown: Bool
    ) throws -> BytePairModel.Symbols {
        guard let suffix = try options.string("end_of_word_suffix"), !suffix.isEmpty else {
            return .spelledBytes(vocabulary)
        }
        let symbols = BytePairModel.Symbols.spelledBytes(vocabulary, wordEnd: suffix)
        // Without a token for it, the end of a word would be lost in silence.
        if case .bytes(_, let last?) = symbols, !hasUnknown, last.contains(-1) {
            throw options.unsupported(
                "end_of_word_suffix", "'\(suffix)'", ["null", "''", "a suffix that model.vocab has for every byte"])
        }
        return symbols
    }

    private func unknownID(_ options: JSONPart, _ vocabulary: Vocabulary) throws -> Int? {
        guard let token = try options.string("unk_token") else { return nil }
        // Byte-level files often name a token that the vocabulary lacks, and never need it.
        return vocabulary.id(of: Array(token.utf8))
    }

    private func missing(_ key: String, _ expected: String, _ text: JSONText) -> TokenizerError {
        .malformed(file: text.file, key: key, expected: expected, got: "nothing")
    }

    // MARK: - Vocabulary and merges

    /// Reads the object from tokens to ids that lies at `path` of the file.
    static func vocabulary(_ text: inout JSONText, path container: String = "model.vocab") throws -> Vocabulary {
        var vocabulary = Vocabulary(capacity: min((text.bytes.count - text.position) / 16, 300_000))
        try text.forEachMember(of: container) { text, token in
            let path = { "\(container).\(String(decoding: token, as: UTF8.self))" }
            let id = try text.index(path: path())
            guard id < Vocabulary.maximumCount else {
                throw TokenizerError.malformed(
                    file: text.file, key: path(), expected: "an id below \(Vocabulary.maximumCount)", got: "\(id)")
            }
            token.withUnsafeBufferPointer { vocabulary.insert($0, id: id) }
        }
        return vocabulary
    }

    private func merges(_ text: inout JSONText, _ vocabulary: Vocabulary) throws -> MergeTable {
        var table = MergeTable(capacity: vocabulary.count)
        var (pair, second) = ([UInt8](), [UInt8]())
        var rank = 0
        try text.forEachElement(of: "model.merges") { text in
            try readPair(&text, &pair, &second, rank)
            let merge = try vocabulary.merge(of: &pair, second) { absent in
                TokenizerError.malformed(
                    file: text.file, key: "model.merges[\(rank)]",
                    expected: "two tokens of model.vocab that make a third",
                    got: "'\(absent)', which model.vocab lacks")
            }
            if !protected.contains(merge.result) {
                table.insert(left: merge.left, right: merge.right, result: merge.result, rank: rank)
            }
            rank += 1
        }
        return table
    }

    /// Reads `"a b"` or `["a", "b"]`.
    private func readPair(
        _ text: inout JSONText, _ first: inout [UInt8], _ second: inout [UInt8], _ rank: Int
    ) throws {
        guard try text.starts(with: UInt8(ascii: "[")) else {
            try text.string(into: &first, path: "model.merges[\(rank)]")
            guard let space = first.firstIndex(of: UInt8(ascii: " ")), first.lastIndex(of: UInt8(ascii: " ")) == space
            else { throw badMerge(rank, "'\(String(decoding: first, as: UTF8.self))'", text) }
            second.removeAll(keepingCapacity: true)
            second.append(contentsOf: first[(space + 1)...])
            return first.removeSubrange(space...)
        }
        var count = 0
        try text.forEachElement(of: "model.merges[\(rank)]") { text in
            count += 1
            switch count {
            case 1: try text.string(into: &first, path: "model.merges[\(rank)]")
            case 2: try text.string(into: &second, path: "model.merges[\(rank)]")
            default: try text.skipValue()
            }
        }
        guard count == 2 else { throw badMerge(rank, "an array of \(count)", text) }
    }

    private func badMerge(_ rank: Int, _ got: String, _ text: JSONText) -> TokenizerError {
        .malformed(
            file: text.file, key: "model.merges[\(rank)]", expected: "two tokens, as \"a b\" or [\"a\", \"b\"]",
            got: got)
    }
}

extension Vocabulary {
    /// The ids of two tokens and of the one that they make; `first` becomes the latter.
    func merge(
        of first: inout [UInt8], _ second: [UInt8], orElse error: (_ absent: String) -> TokenizerError
    ) throws -> (left: Int, right: Int, result: Int) {
        let left = id(of: first)
        let right = id(of: second)
        let count = first.count
        first.append(contentsOf: second)
        let result = id(of: first)
        if let left, let right, let result { return (left, right, result) }
        let absent = left == nil ? first.prefix(count) : right == nil ? second[...] : first[...]
        throw error(String(decoding: absent, as: UTF8.self))
    }
}

extension BytePairModel.Symbols {
    /// Bytes, each spelled by one character of GPT-2's alphabet; at the end of a piece followed by `wordEnd`.
    static func spelledBytes(_ vocabulary: Vocabulary, wordEnd: String? = nil) -> Self {
        func ids(_ suffix: String) -> [Int32] {
            ByteAlphabet.scalars.map { Int32(vocabulary.id(of: Array((String(Character($0)) + suffix).utf8)) ?? -1) }
        }
        return .bytes(ids(""), last: wordEnd.map(ids))
    }

    /// Characters, and for those without a token perhaps tokens such as `<0x0A>`.
    static func characters(_ vocabulary: Vocabulary, fallsBackToBytes: Bool) -> Self {
        let digits = Array("0123456789ABCDEF".utf8)
        return .characters(
            bytes: (0..<256).map { byte in
                guard fallsBackToBytes else { return -1 }
                let token = Array("<0x".utf8) + [digits[byte >> 4], digits[byte & 15], UInt8(ascii: ">")]
                return Int32(vocabulary.id(of: token) ?? -1)
            })
    }
}
