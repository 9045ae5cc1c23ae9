// The patterns that cut a text into words, each as a hand-written scanner.
// Port of the regular expressions of GPT-2 (https://github.com/openai/gpt-2/blob/master/src/encoder.py),
// LLaMA 3 (the same as cl100k's), Qwen2 and CLIP (https://github.com/openai/CLIP, clip/simple_tokenizer.py). A test compares each with the expression itself.

/// A pattern whose matches are the words; every character belongs to one, but for white space with CLIP.
enum SplitPattern: Sendable, Equatable {
    /// GPT-2's.
    case gpt2
    /// LLaMA 3's and cl100k's, with numbers of up to three digits; Qwen2's with single digits.
    case llama3(digits: Int)
    /// Each number character alone, and what lies between.
    case singleDigits
    /// CLIP's: words without the white space around them, single digits, runs of symbols; where `keepsMarks`,
    /// `<|startoftext|>` and `<|endoftext|>` written in a text are words too.
    case clip(keepsMarks: Bool)

    /// Whether white space belongs to no word.
    var dropsSpace: Bool { if case .clip = self { true } else { false } }

    /// The expressions that are known, as they are written in `tokenizer.json`.
    static let known: [(name: String, expression: String, pattern: SplitPattern)] = [
        ("GPT-2", #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        ("GPT-2", #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        ("LLaMA 3", #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"# + llamaWords + #"\p{N}{1,3}|"# + llamaRest, .llama3(digits: 3)),
        ("Qwen2", #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"# + llamaWords + #"\p{N}|"# + llamaRest, .llama3(digits: 1)),
        (
            "cl100k",
            #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|"#
                + #"\s*[\r\n]|\s+(?!\S)|\s+"#, .llama3(digits: 3)
        ),
        ("digits", #"\p{N}"#, .singleDigits),
        ("CLIP", clipWords, .clip(keepsMarks: false)),
        ("CLIP", #"<\|startoftext\|>|<\|endoftext\|>|"# + clipWords, .clip(keepsMarks: true)),
    ]

    private static let clipWords = #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#
    private static let clipMarks = [Array("<|startoftext|>".utf8), Array("<|endoftext|>".utf8)]

    private static let llamaWords = #"[^\r\n\p{L}\p{N}]?\p{L}+|"#
    private static let llamaRest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The end of the word that starts at `index`, which must be below the text's count.
    @inline(__always)
    func end(ofWordAt index: Int, in text: ClassifiedText) -> Int {
        switch self {
        case .gpt2: Self.endOfGPT2Word(at: index, in: text)
        case .llama3(let digits): Self.endOfLlamaWord(at: index, in: text, digits: digits)
        case .singleDigits: Self.endOfDigitOrRest(at: index, in: text)
        case .clip(let keepsMarks): Self.endOfCLIPWord(at: index, in: text, keepsMarks: keepsMarks)
        }
    }

    private static func endOfGPT2Word(at index: Int, in text: ClassifiedText) -> Int {
        if text.bytes[index] == apostrophe, let end = endOfContraction(at: index, in: text, ignoringCase: false) {
            return end
        }
        var start = index
        var kind = text.character(at: index).kind
        if text.bytes[index] == blank, index + 1 < text.count {
            let next = text.character(at: index + 1).kind
            if next.isDisjoint(with: .space) { (start, kind) = (index + 1, next) }
        }
        if kind.contains(.letter) { return text.end(ofRunFrom: start, .letter) }
        if kind.contains(.number) { return text.end(ofRunFrom: start, .number) }
        if kind.contains(.space) { return endOfSpaces(at: index, in: text) }
        return text.end(ofSymbolsFrom: start)
    }

    private static func endOfLlamaWord(at index: Int, in text: ClassifiedText, digits: Int) -> Int {
        if text.bytes[index] == apostrophe, let end = endOfContraction(at: index, in: text, ignoringCase: true) {
            return end
        }
        let (kind, length) = text.character(at: index)
        if kind.contains(.letter) { return text.end(ofRunFrom: index, .letter) }
        if kind.contains(.number) { return endOfDigits(at: index, in: text, atMost: digits) }
        let next = index + length < text.count ? text.character(at: index + length).kind : .space
        if !kind.contains(.lineEnd), next.contains(.letter) { return text.end(ofRunFrom: index + length, .letter) }
        let symbols = text.bytes[index] == blank && next.isEmpty ? index + 1 : index
        let end = text.end(ofSymbolsFrom: symbols)
        if end > symbols { return text.end(ofRunFrom: end, .lineEnd) }
        return endOfLines(at: index, in: text) ?? endOfSpaces(at: index, in: text)
    }

    private static func endOfCLIPWord(at index: Int, in text: ClassifiedText, keepsMarks: Bool) -> Int {
        if keepsMarks, text.bytes[index] == UInt8(ascii: "<"),
            let mark = clipMarks.first(where: { text.bytes[index...].starts(with: $0) })
        {
            return index + mark.count
        }
        if text.bytes[index] == apostrophe, let end = endOfContraction(at: index, in: text, ignoringCase: false) {
            return end
        }
        let (kind, length) = text.character(at: index)
        if kind.contains(.letter) { return text.end(ofRunFrom: index, .letter) }
        if kind.contains(.number) { return index + length }
        if kind.contains(.space) { return text.end(ofRunFrom: index, .space) }
        return text.end(ofSymbolsFrom: index)
    }

    private static func endOfDigitOrRest(at index: Int, in text: ClassifiedText) -> Int {
        let (kind, length) = text.character(at: index)
        if kind.contains(.number) { return index + length }
        var position = index + length
        while position < text.count {
            let (kind, length) = text.character(at: position)
            if kind.contains(.number) { break }
            position += length
        }
        return position
    }

    /// `\p{N}{1,n}`.
    private static func endOfDigits(at index: Int, in text: ClassifiedText, atMost digits: Int) -> Int {
        var (position, taken) = (index, 0)
        while position < text.count, taken < digits {
            let (kind, length) = text.character(at: position)
            if !kind.contains(.number) { break }
            position += length
            taken += 1
        }
        return position
    }

    /// `\s*[\r\n]+`: through the last line end of the white space.
    private static func endOfLines(at index: Int, in text: ClassifiedText) -> Int? {
        var position = index
        var end: Int?
        while position < text.count {
            let (kind, length) = text.character(at: position)
            if !kind.contains(.space) { break }
            position += length
            if kind.contains(.lineEnd) { end = position }
        }
        return end
    }

    /// `\s+(?!\S)|\s+`: white space without its last character, which belongs to the word that follows.
    private static func endOfSpaces(at index: Int, in text: ClassifiedText) -> Int {
        var (position, last) = (index, index)
        while position < text.count {
            let (kind, length) = text.character(at: position)
            if !kind.contains(.space) { return last > index ? last : position }
            last = position
            position += length
        }
        return position
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`.
    private static func endOfContraction(at index: Int, in text: ClassifiedText, ignoringCase: Bool) -> Int? {
        func letter(_ position: Int) -> UInt8 {
            guard position < text.count else { return 0 }
            let byte = text.bytes[position]
            return ignoringCase && byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
        }
        switch (letter(index + 1), letter(index + 2)) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return index + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return index + 3
        case (0xC5, 0xBF) where ignoringCase:
            return index + 3  // U+017F, the long s, is an s when case is ignored
        default: return nil
        }
    }
}

private let apostrophe = UInt8(ascii: "'")
private let blank = UInt8(ascii: " ")
