// The stage of `tokenizer.json` that cuts a text into the pieces within which tokens are merged.
// Port of https://github.com/huggingface/tokenizers/tree/main/tokenizers/src/pre_tokenizers

/// Cuts a text into pieces, stage by stage.
struct PreTokenizer: Sendable, Equatable {
    /// One stage; it cuts every piece of the stage before it.
    enum Stage: Sendable, Equatable {
        case split(SplitPattern)
        /// Runs of number characters, and what lies between.
        case digitRuns
        /// Puts a space before a piece that has none.
        case prefixSpace
        case metaspace(Metaspace)
        /// Cuts before a mark that follows another character; for speed only.
        case beforeMarks

        /// Whether pieces of white space are left out.
        var dropsSpace: Bool { if case .split(let pattern) = self { pattern.dropsSpace } else { false } }
    }

    /// SentencePiece's marking of spaces.
    struct Metaspace: Sendable, Equatable {
        enum Prepending: String, Sendable { case always, first, never }
        var prepending: Prepending
        var splits: Bool
    }

    var stages: [Stage]
    /// Whether pieces are sequences of bytes, as with GPT-2, and not of characters.
    var isByteLevel: Bool

    /// Calls `body` with each piece of `text`; `isFirst` says that `text` starts the whole input.
    func forEachPiece(of text: ClassifiedText, isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        run(0, text, isFirst: isFirst, body)
    }

    private func run(
        _ stage: Int, _ text: ClassifiedText, isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard stage < stages.count else { return body(text.bytes) }
        switch stages[stage] {
        case .split(let pattern):
            cut(text, stage, isFirst, body) { pattern.end(ofWordAt: $0, in: text) }
        case .digitRuns:
            cut(text, stage, isFirst, body) { Self.endOfDigitRun(at: $0, in: text) }
        case .prefixSpace:
            guard text.bytes.first != UInt8(ascii: " ") else { return run(stage + 1, text, isFirst: isFirst, body) }
            ([UInt8(ascii: " ")] + text.bytes).withUnsafeBufferPointer {
                run(stage + 1, text.with($0), isFirst: isFirst, body)
            }
        case .metaspace(let metaspace):
            metaspace.marked(text.bytes, isFirst: isFirst).withUnsafeBufferPointer { marked in
                guard metaspace.splits else { return run(stage + 1, text.with(marked), isFirst: isFirst, body) }
                cut(text.with(marked), stage, isFirst, body) { Metaspace.nextMark(after: $0, in: marked) }
            }
        case .beforeMarks:
            cut(text, stage, isFirst, body) { Metaspace.endOfWord(at: $0, in: text.bytes) }
        }
    }

    @inline(__always)
    private func cut(
        _ text: ClassifiedText, _ stage: Int, _ isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Void,
        _ end: (Int) -> Int
    ) {
        let dropsSpace = stages[stage].dropsSpace
        var start = 0
        while start < text.count {
            let stop = end(start)
            if dropsSpace, text.character(at: start).kind.contains(.space) {
                start = stop
                continue
            }
            let piece = UnsafeBufferPointer(rebasing: text.bytes[start..<stop])
            if stage + 1 == stages.count {
                body(piece)
            } else {
                run(stage + 1, text.with(piece), isFirst: isFirst && start == 0, body)
            }
            start = stop
        }
    }

    private static func endOfDigitRun(at index: Int, in text: ClassifiedText) -> Int {
        let end = text.end(ofRunFrom: index, .number)
        return end > index ? end : SplitPattern.singleDigits.end(ofWordAt: index, in: text)
    }
}

extension PreTokenizer.Metaspace {
    /// U+2581, which stands for a space.
    static let mark: [UInt8] = [0xE2, 0x96, 0x81]

    /// `text` with its spaces marked, and with a mark at its start when the scheme says so.
    fileprivate func marked(_ text: UnsafeBufferPointer<UInt8>, isFirst: Bool) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 2 + 3)
        let startsMarked = text.first == UInt8(ascii: " ") || text.starts(with: Self.mark)
        let prepends = prepending == .always || (prepending == .first && isFirst)
        if prepends, !startsMarked { result += Self.mark }
        for byte in text {
            if byte == UInt8(ascii: " ") { result += Self.mark } else { result.append(byte) }
        }
        return result
    }

    /// The next mark after `index` that does not follow another mark, or the end.
    fileprivate static func endOfWord(at index: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var position = nextMark(after: index, in: text)
        while position < text.count, position >= index + mark.count,
            text[position - 3] == mark[0], text[position - 2] == mark[1], text[position - 1] == mark[2]
        {
            position = nextMark(after: position, in: text)
        }
        return position
    }

    /// The next mark after `index`, or the end.
    fileprivate static func nextMark(after index: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var position = index + 1
        while position < text.count {
            if text[position] == mark[0], position + 2 < text.count, text[position + 1] == mark[1],
                text[position + 2] == mark[2]
            {
                return position
            }
            position += 1
        }
        return text.count
    }
}

// MARK: - From tokenizer.json

extension PreTokenizer {
    private static let supported = ["ByteLevel", "Split", "Digits", "Metaspace", "Sequence"]

    /// The stages that `part` describes; nil is no stage at all.
    init(_ part: JSONPart?) throws {
        self.init(stages: [], isByteLevel: false)
        if let part { try append(part) }
    }

    private mutating func append(_ part: JSONPart) throws {
        switch try part.type() {
        case "Sequence":
            for stage in try part.elements("pretokenizers") { try append(stage) }
        case "ByteLevel":
            isByteLevel = true
            if try part.boolean("add_prefix_space") ?? true { stages.append(.prefixSpace) }
            if try part.boolean("use_regex") ?? true { stages.append(.split(.gpt2)) }
        case "Digits":
            stages.append(try part.boolean("individual_digits") ?? false ? .split(.singleDigits) : .digitRuns)
        case "Split":
            stages.append(.split(try Self.pattern(of: part)))
        case "Metaspace":
            stages.append(.metaspace(try Metaspace(part)))
        case let other:
            throw part.unsupported("type", "'\(other)'", Self.supported)
        }
    }

    private static func pattern(of part: JSONPart) throws -> SplitPattern {
        let behavior = try part.string("behavior") ?? "Isolated"
        let isInverted = try part.boolean("invert") ?? false
        // When every character is in a match, removing what is not a match is the same as isolating the matches.
        guard behavior == "Isolated" || (behavior == "Removed" && isInverted) else {
            throw part.unsupported("behavior", "'\(behavior)'", ["'Isolated'", "'Removed' with 'invert'"])
        }
        guard let expression = try part["pattern"]?.string("Regex") else {
            throw part.unsupported("pattern", part["pattern"]?.value.kind ?? "absent", ["{\"Regex\": …}"])
        }
        guard let known = SplitPattern.known.first(where: { $0.expression == expression }) else {
            let supported = SplitPattern.known.map { "\($0.name) \($0.expression)" }
            throw part.unsupported("pattern.Regex", "an unknown expression \(expression)", supported)
        }
        // Where characters lie outside all matches, the two differ.
        if known.pattern == .singleDigits, behavior != "Isolated" {
            throw part.unsupported("behavior", "'\(behavior)'", ["'Isolated'"])
        }
        if known.pattern.dropsSpace, behavior == "Isolated" {
            throw part.unsupported("behavior", "'\(behavior)'", ["'Removed' with 'invert'"])
        }
        return known.pattern
    }
}

extension PreTokenizer.Metaspace {
    fileprivate init(_ part: JSONPart) throws {
        if let replacement = try part.string("replacement"), replacement != "▁" {
            throw part.unsupported("replacement", "'\(replacement)'", ["'▁'"])
        }
        let scheme = try part.string("prepend_scheme")
        if let scheme, Prepending(rawValue: scheme) == nil {
            throw part.unsupported("prepend_scheme", "'\(scheme)'", ["'always'", "'first'", "'never'"])
        }
        let addsPrefix = try part.boolean("add_prefix_space") ?? true
        prepending = scheme.flatMap(Prepending.init(rawValue:)) ?? (addsPrefix ? .always : .never)
        splits = try part.boolean("split") ?? true
    }
}
