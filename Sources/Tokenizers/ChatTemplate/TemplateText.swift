// Text handling by code points and bytes, as Python's `str` has it. Swift's own string functions compare whole
// characters, for which "\r\n" is one and "é" equals "e" with an accent.

extension String {
    /// The text without white space, or without the given code points, at its ends.
    func trimmed(of characters: String? = nil, atStart: Bool = true, atEnd: Bool = true) -> String {
        let drops: (Unicode.Scalar) -> Bool
        if let characters {
            let set = Set(characters.unicodeScalars)
            drops = { set.contains($0) }
        } else {
            drops = { $0.isTemplateSpace }
        }
        var rest = unicodeScalars[...]
        if atStart { rest = rest.drop(while: drops) }
        if atEnd { while let last = rest.last, drops(last) { rest.removeLast() } }
        return String(rest)
    }

    /// The bytes after the first `count`, which must end a code point.
    func dropping(bytes count: Int) -> String {
        String(decoding: utf8.dropFirst(count), as: UTF8.self)
    }

    /// The first `count` bytes, which must end a code point.
    func keeping(bytes count: Int) -> String {
        String(decoding: utf8.prefix(count), as: UTF8.self)
    }

    /// Where `part` first occurs, in bytes.
    func range(ofBytes part: String, from start: Int = 0) -> Range<Int>? {
        let (whole, wanted) = (Array(utf8), Array(part.utf8))
        return whole.firstRange(of: wanted, from: start)
    }

    /// The pieces between the occurrences of `separator`.
    func parts(separatedBy separator: String) -> [String] {
        let (whole, wanted) = (Array(utf8), Array(separator.utf8))
        guard !wanted.isEmpty else { return [self] }
        var result: [String] = []
        var start = 0
        while let found = whole.firstRange(of: wanted, from: start) {
            result.append(String(decoding: whole[start..<found.lowerBound], as: UTF8.self))
            start = found.upperBound
        }
        result.append(String(decoding: whole[start...], as: UTF8.self))
        return result
    }

    /// The text with the first `count` occurrences of `old` (all when nil or negative) replaced.
    func replacing(bytesOf old: String, with new: String, count: Int?) -> String {
        guard !old.isEmpty else { return self }
        let parts = parts(separatedBy: old)
        guard let count, count >= 0, parts.count - 1 > count else { return parts.joined(separator: new) }
        let rest = parts.dropFirst(count).joined(separator: old)
        return (parts.prefix(count) + [rest]).joined(separator: new)
    }

    /// `str.title()`.
    var pythonTitle: String {
        var result = ""
        var continuesWord = false
        for scalar in unicodeScalars {
            result += continuesWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            continuesWord = scalar.properties.isCased
        }
        return result
    }

    /// `str.capitalize()`.
    var pythonCapitalized: String {
        guard let first = unicodeScalars.first else { return "" }
        return first.properties.titlecaseMapping + String(unicodeScalars.dropFirst()).lowercased()
    }
}

extension Array where Element == UInt8 {
    /// The first occurrence of `part` (not empty) at or after `start`.
    func firstRange(of part: [UInt8], from start: Int) -> Range<Int>? {
        guard let first = part.first else { return start..<start }
        var index = start
        while index + part.count <= count {
            if self[index] == first, self[index..<index + part.count].elementsEqual(part) {
                return index..<index + part.count
            }
            index += 1
        }
        return nil
    }
}
