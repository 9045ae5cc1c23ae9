// Text from tokens as they come.

/// Turns tokens into text one by one; a character is given out once all its bytes are there.
public struct StreamingDecoder {
    private let tokenizer: Tokenizer
    private var pending: [UInt8] = []
    private var isAtStart = true

    public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// The text that this token completes, possibly none.
    public mutating func append(_ id: Int) -> String {
        guard let token = tokenizer.bytes(of: id) else { return "" }
        let start = pending.count
        tokenizer.decoder.appendBytes(of: token, to: &pending)
        if case .sentencePiece(stripsSpace: true, _) = tokenizer.decoder, isAtStart, pending.first == 0x20 {
            pending.removeFirst()
        }
        if case .words = tokenizer.decoder, !isAtStart, start == 0 { pending.insert(UInt8(ascii: " "), at: 0) }
        isAtStart = false
        let complete = pending.count - Self.unfinished(pending)
        defer { pending.removeSubrange(..<complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    /// What is left at the end: U+FFFD for a character that was not completed.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end may still become a character.
    private static func unfinished(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1
            return needed > length && lead < 0xF5 && lead >= 0xC2 ? length : 0
        }
        return 0
    }
}
