// The stage of `tokenizer.json` that turns tokens back into text.
// Port of https://github.com/huggingface/tokenizers/tree/main/tokenizers/src/decoders

/// How the bytes of a text follow from its tokens.
enum TokenDecoder: Sendable, Equatable {
    /// Tokens spell bytes in GPT-2's alphabet.
    case byteLevel
    /// `▁` is a space and `<0x0A>` a byte; `stripsSpace` drops one space at the start of the text.
    case sentencePiece(stripsSpace: Bool, readsBytes: Bool)
    /// Tokens are words, joined by spaces.
    case words

    /// Appends the bytes of one token.
    func appendBytes(of token: ArraySlice<UInt8>, to result: inout [UInt8]) {
        switch self {
        case .byteLevel:
            ByteAlphabet.appendBytes(of: token, to: &result)
        case .sentencePiece(_, let readsBytes):
            if readsBytes, let byte = Self.byte(token) { return result.append(byte) }
            Self.appendUnmarked(token, to: &result)
        case .words:
            if !result.isEmpty { result.append(UInt8(ascii: " ")) }
            result += token
        }
    }

    /// The text of tokens.
    func text(of tokens: some Sequence<ArraySlice<UInt8>>) -> String {
        guard case .sentencePiece(let stripsSpace, let readsBytes) = self else {
            var bytes: [UInt8] = []
            for token in tokens { appendBytes(of: token, to: &bytes) }
            return String(decoding: bytes, as: UTF8.self)
        }
        var result: [UInt8] = []
        var run: [UInt8] = []  // bytes that are not known to be text yet
        for token in tokens {
            if readsBytes, let byte = Self.byte(token) {
                run.append(byte)
            } else {
                Self.flush(&run, to: &result)
                Self.appendUnmarked(token, to: &result)
            }
        }
        Self.flush(&run, to: &result)
        let skipped = stripsSpace && result.first == UInt8(ascii: " ") ? 1 : 0
        return String(decoding: result.dropFirst(skipped), as: UTF8.self)
    }

    /// Appends a run of byte tokens; when they are no text, each becomes U+FFFD.
    private static func flush(_ run: inout [UInt8], to result: inout [UInt8]) {
        if String(validating: run, as: UTF8.self) != nil {
            result += run
        } else {
            for _ in run { result += [0xEF, 0xBF, 0xBD] }
        }
        run.removeAll(keepingCapacity: true)
    }

    /// The byte of a token such as `<0x0A>`.
    static func byte(_ token: ArraySlice<UInt8>) -> UInt8? {
        guard token.count == 6, token.starts(with: [0x3C, 0x30, 0x78]), token.last == UInt8(ascii: ">") else {
            return nil
        }
        let digits = token.dropFirst(3).prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        return digits.count == 2 ? UInt8(digits[0] << 4 | digits[1]) : nil
    }

    private static func appendUnmarked(_ token: ArraySlice<UInt8>, to result: inout [UInt8]) {
        let mark = PreTokenizer.Metaspace.mark
        var position = token.startIndex
        while position < token.endIndex {
            if token[position] == mark[0], token[position...].starts(with: mark) {
                result.append(UInt8(ascii: " "))
                position += 3
            } else {
                result.append(token[position])
                position += 1
            }
        }
    }
}

extension TokenDecoder {
    private static let supported = [
        "ByteLevel", "Metaspace", "Sequence of Replace '▁', ByteFallback, Fuse and Strip ' '",
    ]

    /// The decoder that `part` describes.
    init(_ part: JSONPart?) throws {
        guard let part else {
            self = .words
            return
        }
        switch try part.type() {
        case "ByteLevel":
            self = .byteLevel
        case "Metaspace":
            let never = try part.string("prepend_scheme") == "never" || part.boolean("add_prefix_space") == false
            self = .sentencePiece(stripsSpace: !never, readsBytes: false)
        case "Sequence":
            self = try Self.sequence(part)
        case let other:
            throw part.unsupported("type", "'\(other)'", Self.supported)
        }
    }

    private static func stripsOneSpace(_ step: JSONPart) throws -> Bool {
        try step.string("content") == " " && step.integer("start") == 1 && step.integer("stop") == 0
    }

    private static func sequence(_ part: JSONPart) throws -> TokenDecoder {
        var (strips, readsBytes) = (false, false)
        let steps = try part.elements("decoders")
        if steps.count == 1 { return try TokenDecoder(steps[0]) }
        for step in steps {
            switch try step.type() {
            case "Replace" where try step["pattern"]?.string("String") == "▁" && step.string("content") == " ": break
            case "ByteFallback": readsBytes = true
            case "Fuse": break
            case "Strip" where try stripsOneSpace(step): strips = true
            case let other: throw step.unsupported("type", "'\(other)' in this form", supported)
            }
        }
        return .sentencePiece(stripsSpace: strips, readsBytes: readsBytes)
    }
}
