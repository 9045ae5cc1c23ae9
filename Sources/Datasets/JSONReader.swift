// Reads JSON (RFC 8259) from bytes that are known to be UTF-8, keeping track of lines.

/// A position in a JSON text and the readers that advance it.
struct JSONReader {
    private let bytes: [UInt8]
    private let file: String
    private(set) var position: Int
    private(set) var line: Int
    /// The reader stops here: the end of the line, or of the file.
    var end: Int
    private var depth = 0

    /// Deeper nesting is refused.
    static let maximumDepth = 64

    init(_ text: SourceText) {
        bytes = text.bytes
        file = text.file
        (position, line, end) = (0, 1, text.bytes.count)
    }

    /// An error here.
    func error(_ problem: String) -> DatasetError { .place(file: file, line: line, problem: problem) }

    /// The next byte that is not white space, without taking it.
    mutating func peek() -> UInt8? {
        while position < end {
            switch bytes[position] {
            case 10: line += 1
            case 9, 13, 32: break
            default: return bytes[position]
            }
            position += 1
        }
        return nil
    }

    /// Moves to the start of the next line that is not blank, and ends the reader at its end; false after the last.
    mutating func nextLine() -> Bool {
        end = bytes.count
        guard peek() != nil else { return false }
        end = bytes[position...].firstIndex(of: 10) ?? bytes.count
        return true
    }

    /// Takes `byte` when it comes next.
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    /// Reads a value.
    mutating func value() throws -> DataValue {
        guard let first = peek() else { throw error("not JSON: expected a value, got the end") }
        switch first {
        case UInt8(ascii: "{"): return .object(try members())
        case UInt8(ascii: "["): return .array(try elements())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), 48...57: return .number(try number())
        default: return try word()
        }
    }

    /// Reads an object.
    mutating func members() throws -> [DataMember] {
        try nest(UInt8(ascii: "{"), "an object")
        var members: [DataMember] = []
        if take(UInt8(ascii: "}")) { return leave(members) }
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
            let key = try string()
            guard take(UInt8(ascii: ":")) else { throw unexpected("':' after the key '\(key.excerpt())'") }
            members.append(DataMember(key: key, value: try value()))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw unexpected("',' or '}'") }
        return leave(members)
    }

    private mutating func elements() throws -> [DataValue] {
        try nest(UInt8(ascii: "["), "an array")
        var elements: [DataValue] = []
        if take(UInt8(ascii: "]")) { return leave(elements) }
        repeat { elements.append(try value()) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw unexpected("',' or ']'") }
        return leave(elements)
    }

    private mutating func nest(_ open: UInt8, _ what: String) throws {
        guard take(open) else { throw unexpected(what) }
        depth += 1
        guard depth <= Self.maximumDepth else {
            throw error("nested more than \(Self.maximumDepth) levels deep; training data is flat")
        }
    }

    private mutating func leave<Value>(_ value: Value) -> Value {
        depth -= 1
        return value
    }

    /// The error for what stands here.
    mutating func unexpected(_ expected: String) -> DatasetError {
        guard peek() != nil else { return error("not JSON: expected \(expected), got the end of the text") }
        let rest = String(decoding: bytes[position..<min(position + 80, end)], as: UTF8.self)
        return error("not JSON: expected \(expected), got '\(rest.excerpt(20))'")
    }

    // MARK: - Scalars

    private mutating func word() throws -> DataValue {
        for (word, value) in [("true", DataValue.bool(true)), ("false", .bool(false)), ("null", .null)]
        where bytes[position..<end].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw unexpected("a value")
    }

    private mutating func number() throws -> String {
        let start = position
        func digits(_ reader: inout Self) -> Int {
            let start = reader.position
            while reader.position < reader.end, (48...57).contains(reader.bytes[reader.position]) {
                reader.position += 1
            }
            return reader.position - start
        }
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        var isSound = digits(&self) > 0
        if position < end, bytes[position] == UInt8(ascii: ".") {
            position += 1
            isSound = digits(&self) > 0 && isSound
        }
        if position < end, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < end, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[position]) { position += 1 }
            isSound = digits(&self) > 0 && isSound
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard isSound else { throw error("not JSON: '\(text.excerpt())' is not a number") }
        return text
    }

    private mutating func string() throws -> String {
        let start = position + 1
        var index = start
        while index < end {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                position = index + 1
                return String(decoding: bytes[start..<index], as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start, to: index) }
            if byte < 32 { break }
            index += 1
        }
        throw unclosed(at: index, start: start)
    }

    private func unclosed(at index: Int, start: Int) -> DatasetError {
        let beginning = String(decoding: bytes[start..<min(start + 60, end)], as: UTF8.self).excerpt(20)
        guard index < end, bytes[index] != 13 || index + 1 < end else {
            return error("not JSON: the text \"\(beginning)\" is not closed; expected '\"'")
        }
        let names: [UInt8: String] = [
            9: "a tab (write \\t)", 10: "a line break (write \\n)", 13: "a line break (write \\r)",
        ]
        let name = names[bytes[index]] ?? "the control character \(bytes[index]) (write \\u00…)"
        return error("not JSON: \(name) inside the text \"\(beginning)\"")
    }

    private mutating func escapedString(from start: Int, to firstEscape: Int) throws -> String {
        var text = Array(bytes[start..<firstEscape])
        var index = firstEscape
        while index < end {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                position = index + 1
                return String(decoding: text, as: UTF8.self)
            }
            if byte < 32 { break }
            if byte == UInt8(ascii: "\\") {
                index = try escape(at: index + 1, to: &text)
            } else {
                text.append(byte)
                index += 1
            }
        }
        throw unclosed(at: index, start: start)
    }

    /// Appends what the escape whose letter is at `index` stands for; the index after it.
    private func escape(at index: Int, to text: inout [UInt8]) throws -> Int {
        guard index < end else { throw error("not JSON: the text ends after a backslash") }
        switch bytes[index] {
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(bytes[index])
        case UInt8(ascii: "u"): return try unicodeEscape(at: index + 1, to: &text)
        default:
            let letter = String(decoding: bytes[index..<min(index + 4, end)], as: UTF8.self).excerpt(1).prefix(1)
            throw error("not JSON: '\\\(letter)' is not an escape; a backslash is written '\\\\'")
        }
        return index + 1
    }

    private func unicodeEscape(at index: Int, to text: inout [UInt8]) throws -> Int {
        guard let unit = hexadecimal(at: index) else { throw error("not JSON: expected four digits after '\\u'") }
        var (scalar, next) = (UInt32(unit), index + 4)
        if (0xD800..<0xDC00).contains(unit), next + 1 < end, bytes[next] == UInt8(ascii: "\\"),
            bytes[next + 1] == UInt8(ascii: "u"), let low = hexadecimal(at: next + 2), (0xDC00..<0xE000).contains(low)
        {
            scalar = 0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)
            next += 6
        }
        guard let scalar = Unicode.Scalar(scalar) else {
            throw error("half a surrogate pair, \\u\(String(unit, radix: 16)), is no character; remove it")
        }
        text.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
        return next
    }

    private func hexadecimal(at index: Int) -> UInt16? {
        guard index >= 0, end - index >= 4 else { return nil }
        var value: UInt16 = 0
        for byte in bytes[index..<index + 4] {
            switch byte {
            case 48...57: value = value << 4 | UInt16(byte - 48)
            case 65...70, 97...102: value = value << 4 | UInt16((byte | 0x20) - 87)
            default: return nil
            }
        }
        return value
    }
}
