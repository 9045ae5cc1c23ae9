// The character classes of pre-tokenizer patterns: \p{L}, \p{N}, \s and line ends.

/// What a pre-tokenizer needs to know of a character, as a set of bits.
struct ScalarClass: OptionSet, Sendable {
    let rawValue: UInt8

    static let letter = ScalarClass(rawValue: 1)  // \p{L}
    static let number = ScalarClass(rawValue: 2)  // \p{N}
    static let space = ScalarClass(rawValue: 4)  // \s, which is the property White_Space
    static let lineEnd = ScalarClass(rawValue: 8)  // [\r\n], a part of \s

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ scalar: Unicode.Scalar) {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default: self = scalar.properties.isWhitespace ? .space : []
        }
        if scalar == "\r" || scalar == "\n" { insert(.lineEnd) }
    }

    /// The classes of all scalars below ``limit``, by scalar value.
    static let table: [UInt8] = (0..<limit).map { value in
        // Ideographs and Hangul syllables are three quarters of the table, so they are not looked up one by one.
        switch value {
        case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0x20000...0x2A6DF: ScalarClass.letter.rawValue
        default: Unicode.Scalar(value).map { ScalarClass($0).rawValue } ?? 0
        }
    }

    /// No letter, number or white space has a value from here on (Unicode 17).
    static let limit: UInt32 = 0x33480
}

/// A UTF-8 text with the class of the character at any position.
struct ClassifiedText {
    let bytes: UnsafeBufferPointer<UInt8>
    private let classes: UnsafeBufferPointer<UInt8>

    /// `classes` is ``ScalarClass/table``, and both outlive this value.
    init(_ bytes: UnsafeBufferPointer<UInt8>, classes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        self.classes = classes
    }

    var count: Int { bytes.count }

    /// The same classes for another text.
    func with(_ bytes: UnsafeBufferPointer<UInt8>) -> ClassifiedText { ClassifiedText(bytes, classes: classes) }

    /// The class and the length in bytes of the character at `index`, which must be below `count`.
    @inline(__always)
    func character(at index: Int) -> (kind: ScalarClass, length: Int) {
        let lead = bytes[index]
        if lead < 0x80 { return (ScalarClass(rawValue: classes[Int(lead)]), 1) }
        return multibyteCharacter(lead, at: index)
    }

    private func multibyteCharacter(_ lead: UInt8, at index: Int) -> (kind: ScalarClass, length: Int) {
        let length = min(lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4, count - index)
        var value = Int(lead) & (0xFF >> (length + 1))
        for position in index + 1..<index + length { value = value << 6 | Int(bytes[position]) & 0x3F }
        return (value < classes.count ? ScalarClass(rawValue: classes[value]) : [], length)
    }

    /// The end of the run of characters from `index` on that have one of `kinds`.
    @inline(__always)
    func end(ofRunFrom index: Int, _ kinds: ScalarClass) -> Int {
        var position = index
        while position < count {
            let (kind, length) = character(at: position)
            if kind.isDisjoint(with: kinds) { break }
            position += length
        }
        return position
    }

    /// The end of the run of characters from `index` on that have none of `kinds`.
    func end(ofRunWithout kinds: ScalarClass, from index: Int) -> Int {
        var position = index
        while position < count {
            let (kind, length) = character(at: position)
            if !kind.isDisjoint(with: kinds) { break }
            position += length
        }
        return position
    }

    /// The end of the run of characters from `index` on that are neither letter, number nor white space.
    @inline(__always)
    func end(ofSymbolsFrom index: Int) -> Int {
        var position = index
        while position < count {
            let (kind, length) = character(at: position)
            if !kind.isEmpty { break }
            position += length
        }
        return position
    }
}
