// Tokens that are found in the text as they are written, before it is cut and merged.
// Port of https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/tokenizer/added_vocabulary.rs

/// A token that was added to a model's vocabulary.
struct AddedToken: Sendable, Equatable {
    var content: String
    var id: Int
    /// Matches only where no letter, digit or underscore touches it.
    var isSingleWord = false
    var stripsLeft = false
    var stripsRight = false
    /// Is looked for in the normalised text.
    var isNormalized = false
    var isSpecial = true
}

/// Finds added tokens in a text: the leftmost first, and of those the longest.
struct AddedTokenMatcher: Sendable {
    /// A part of a text: an added token, or the text between two of them.
    enum Part: Equatable {
        case token(Int)
        case text(Range<Int>)
    }

    // A trie in which a node knows its first child and its next sibling.
    private var byte: [UInt8] = [0]
    private var child: [Int32] = [-1]
    private var sibling: [Int32] = [-1]
    private var token: [Int32] = [-1]
    private var startsToken = [Bool](repeating: false, count: 256)
    private var tokens: [AddedToken] = []

    /// A matcher for `tokens` by the given spelling.
    init(_ tokens: [AddedToken], spelling: (AddedToken) -> [UInt8] = { Array($0.content.utf8) }) {
        for token in tokens { insert(token, spelling(token)) }
    }

    var isEmpty: Bool { tokens.isEmpty }

    private mutating func insert(_ added: AddedToken, _ spelling: [UInt8]) {
        guard let first = spelling.first else { return }
        startsToken[Int(first)] = true
        var node = 0
        for byte in spelling { node = childOf(node, byte) ?? addChild(of: node, byte) }
        token[node] = Int32(tokens.count)
        tokens.append(added)
    }

    private func childOf(_ node: Int, _ wanted: UInt8) -> Int? {
        var candidate = Int(child[node])
        while candidate >= 0 {
            if byte[candidate] == wanted { return candidate }
            candidate = Int(sibling[candidate])
        }
        return nil
    }

    private mutating func addChild(of node: Int, _ new: UInt8) -> Int {
        byte.append(new)
        child.append(-1)
        sibling.append(child[node])
        token.append(-1)
        child[node] = Int32(byte.count - 1)
        return byte.count - 1
    }

    /// Calls `body` with each part of `text`; without `allowingSpecialTokens`, special tokens are text.
    func forEachPart(
        of text: UnsafeBufferPointer<UInt8>, allowingSpecialTokens: Bool, _ body: (Part) -> Void
    ) {
        // The end of the last part, and where to look on.
        var (taken, position) = (0, 0)
        while !isEmpty, position < text.count {
            guard startsToken[Int(text[position])], let (found, end) = longestToken(at: position, in: text) else {
                position += 1
                continue
            }
            let start = position
            position = end
            guard allowingSpecialTokens || !found.isSpecial, !found.isSingleWord || isWord(start..<end, in: text) else {
                continue
            }
            let first = found.stripsLeft ? max(Self.startOfSpaces(before: start, in: text), taken) : start
            let last = found.stripsRight ? Self.endOfSpaces(after: end, in: text) : end
            if taken < first { body(.text(taken..<first)) }
            body(.token(found.id))
            taken = last
            position = last
        }
        if taken < text.count { body(.text(taken..<text.count)) }
    }

    private func longestToken(at start: Int, in text: UnsafeBufferPointer<UInt8>) -> (AddedToken, Int)? {
        var (node, position) = (0, start)
        var found: (AddedToken, Int)?
        while position < text.count, let next = childOf(node, text[position]) {
            node = next
            position += 1
            if token[node] >= 0 { found = (tokens[Int(token[node])], position) }
        }
        return found
    }

    // MARK: - Surroundings

    private func isWord(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        let before = Self.scalar(before: range.lowerBound, in: text)?.scalar
        let after = Self.scalar(at: range.upperBound, in: text)?.scalar
        return !(before.map(Self.isWordCharacter) ?? false) && !(after.map(Self.isWordCharacter) ?? false)
    }

    private static func startOfSpaces(before end: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var position = end
        while let (scalar, start) = scalar(before: position, in: text), scalar.properties.isWhitespace {
            position = start
        }
        return position
    }

    private static func endOfSpaces(after start: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var position = start
        while let (scalar, end) = scalar(at: position, in: text), scalar.properties.isWhitespace { position = end }
        return position
    }

    private static func scalar(before end: Int, in text: UnsafeBufferPointer<UInt8>) -> (scalar: Unicode.Scalar, Int)? {
        var start = end - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return start < 0 ? nil : scalar(at: start, in: text).map { ($0.scalar, start) }
    }

    private static func scalar(at start: Int, in text: UnsafeBufferPointer<UInt8>) -> (scalar: Unicode.Scalar, Int)? {
        guard start < text.count else { return nil }
        var end = start + 1
        while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
        return String(decoding: text[start..<end], as: UTF8.self).unicodeScalars.first.map { ($0, end) }
    }

    /// `\w` as in UTS #18.
    private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: return true
        default: return properties.isAlphabetic || properties.isJoinControl
        }
    }
}
