// A JSON text read value by value, so that a vocabulary of many megabytes is never built as a tree.

/// A position in a JSON text (RFC 8259), with readers that advance it.
struct JSONText {
    let bytes: [UInt8]
    let file: String
    private(set) var position: Int

    /// The deepest nesting that ``value()`` follows.
    private static let maximumDepth = 100

    init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
        position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    }

    /// The same text, read from another position.
    func moved(to position: Int) -> JSONText {
        var copy = self
        copy.position = position
        return copy
    }

    // MARK: - Containers

    /// Calls `body` with each key of the object here; `body` must read or skip the value.
    mutating func forEachMember(of path: String, _ body: (inout JSONText, [UInt8]) throws -> Void) throws {
        try expect(UInt8(ascii: "{"), orElse: "an object", path: path)
        var key: [UInt8] = []
        if try take(UInt8(ascii: "}")) { return }
        repeat {
            try skipSpace()
            try string(into: &key, path: path)
            try expect(UInt8(ascii: ":"), orElse: "':'", path: nil)
            try body(&self, key)
        } while try take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), orElse: "',' or '}'", path: nil)
    }

    /// Calls `body` for each element of the array here; `body` must read or skip it.
    mutating func forEachElement(of path: String, _ body: (inout JSONText) throws -> Void) throws {
        try expect(UInt8(ascii: "["), orElse: "an array", path: path)
        if try take(UInt8(ascii: "]")) { return }
        repeat { try body(&self) } while try take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), orElse: "',' or ']'", path: nil)
    }

    /// Where each value of the object here starts, without reading the values.
    mutating func memberPositions(of path: String) throws -> [String: Int] {
        var positions: [String: Int] = [:]
        try forEachMember(of: path) { text, key in
            try text.skipSpace()
            positions[String(decoding: key, as: UTF8.self)] = text.position
            try text.skipValue()
        }
        return positions
    }

    /// Refuses anything but white space from here on.
    mutating func expectEnd() throws {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        if position < bytes.count { throw unexpected("the end of the file") }
    }

    // MARK: - Values

    /// Reads the value here as a tree.
    mutating func value() throws -> JSONValue { try value(depth: 0) }

    private mutating func value(depth: Int) throws -> JSONValue {
        try skipSpace()
        guard depth < Self.maximumDepth else { throw unexpected("at most \(Self.maximumDepth) nested values") }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try forEachMember(of: "") { text, key in
                members[String(decoding: key, as: UTF8.self)] = try text.value(depth: depth + 1)
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try forEachElement(of: "") { elements.append(try $0.value(depth: depth + 1)) }
            return .array(elements)
        case UInt8(ascii: "\""):
            var string: [UInt8] = []
            try self.string(into: &string, path: "")
            return .string(String(decoding: string, as: UTF8.self))
        default:
            return try scalar()
        }
    }

    private mutating func scalar() throws -> JSONValue {
        let start = position
        while position < bytes.count, Self.isScalarByte(bytes[position]) { position += 1 }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "null": return .null
        default:
            if let number = Double(word), number.isFinite { return .number(number) }
            position = start
            throw unexpected("a value")
        }
    }

    /// Reads an integer of at least zero.
    mutating func index(path: @autoclosure () -> String) throws -> Int {
        try skipSpace()
        let start = position
        var number = 0
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 {
            guard position - start < 18 else { throw unexpected("fewer digits in '\(path())'") }
            number = number * 10 + Int(digit)
            position += 1
        }
        guard position > start, position >= bytes.count || !Self.isScalarByte(bytes[position]) else {
            position = start
            throw TokenizerError.malformed(
                file: file, key: path(), expected: "an integer of at least 0", got: kindHere)
        }
        return number
    }

    /// Reads a string, its escapes resolved, in place of what `result` held.
    mutating func string(into result: inout [UInt8], path: @autoclosure () -> String) throws {
        try skipSpace()
        guard bytes[position] == UInt8(ascii: "\"") else {
            throw TokenizerError.malformed(file: file, key: path(), expected: "a string", got: kindHere)
        }
        position += 1
        result.removeAll(keepingCapacity: true)
        var start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                result.append(contentsOf: bytes[start..<position])
                position += 1
                return
            case UInt8(ascii: "\\"):
                result.append(contentsOf: bytes[start..<position])
                try escape(into: &result)
                start = position
            case 0..<0x20:
                throw unexpected("no control character inside a string")
            default:
                position += 1
            }
        }
        throw unexpected("the end of a string")
    }

    private mutating func escape(into result: inout [UInt8]) throws {
        guard position + 1 < bytes.count else { throw unexpected("an escape") }
        let letter = bytes[position + 1]
        if letter == UInt8(ascii: "u") {
            result.append(contentsOf: String(Character(try unicodeEscape())).utf8)
            return
        }
        let plain: [UInt8: UInt8] = [
            0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 0x08, 0x66: 0x0C, 0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09,
        ]
        guard let byte = plain[letter] else { throw unexpected("one of the escapes of JSON") }
        result.append(byte)
        position += 2
    }

    private mutating func unicodeEscape() throws -> Unicode.Scalar {
        let high = try hexadecimal()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\") else {
            throw unexpected("the second half of a surrogate pair")
        }
        let low = try hexadecimal()
        guard low >= 0xDC00, low < 0xE000,
            let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        else { throw unexpected("the second half of a surrogate pair") }
        return scalar
    }

    /// Reads `\uXXXX`.
    private mutating func hexadecimal() throws -> UInt32 {
        guard position + 6 <= bytes.count, bytes[position + 1] == UInt8(ascii: "u") else { throw unexpected("\\uXXXX") }
        var number: UInt32 = 0
        for byte in bytes[position + 2..<position + 6] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw unexpected("\\uXXXX") }
            number = number << 4 | UInt32(digit)
        }
        position += 6
        return number
    }

    /// Passes over one value; of an array or object, only the brackets and strings are looked at.
    mutating func skipValue() throws {
        try skipSpace()
        switch bytes[position] {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard let end = bytes.withUnsafeBufferPointer({ Self.endOfContainer(at: position, in: $0) }) else {
                position = bytes.count
                throw unexpected("the end of an array or object")
            }
            position = end
        case UInt8(ascii: "\""):
            guard let end = bytes.withUnsafeBufferPointer({ Self.endOfString(at: position, in: $0) }) else {
                position = bytes.count
                throw unexpected("the end of a string")
            }
            position = end
        default:
            _ = try scalar()
        }
    }

    private static func endOfContainer(at start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var (position, depth) = (start, 0)
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                guard let end = endOfString(at: position, in: bytes) else { return nil }
                position = end
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
            position += 1
            if depth == 0 { return position }
        }
        return nil
    }

    private static func endOfString(at start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var position = start + 1
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") { return position + 1 }
            position += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    // MARK: - Characters

    /// Whether the next value starts with `byte`.
    mutating func starts(with byte: UInt8) throws -> Bool {
        try skipSpace()
        return bytes[position] == byte
    }

    private mutating func skipSpace() throws {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        if position >= bytes.count { throw unexpected("more text") }
    }

    private mutating func take(_ byte: UInt8) throws -> Bool {
        try skipSpace()
        guard bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8, orElse expected: String, path: String?) throws {
        if try take(byte) { return }
        guard let path else { throw unexpected(expected) }
        throw TokenizerError.malformed(file: file, key: path, expected: expected, got: kindHere)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private static func isScalarByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private func unexpected(_ expected: String) -> TokenizerError {
        let got = position < bytes.count ? "'\(Character(Unicode.Scalar(bytes[position])))'".debugFree : "the end"
        return .notJSON(file: file, offset: position, expected: expected, got: got)
    }

    /// What kind of value starts here, in words.
    private var kindHere: String {
        guard position < bytes.count else { return "the end of the file" }
        return switch bytes[position] {
        case UInt8(ascii: "{"): "an object"
        case UInt8(ascii: "["): "an array"
        case UInt8(ascii: "\""): "a string"
        case UInt8(ascii: "t"), UInt8(ascii: "f"): "a truth value"
        case UInt8(ascii: "n"): "null"
        default: "a number or something else"
        }
    }
}

extension String {
    /// The text without control characters, for one line of a message.
    fileprivate var debugFree: String { String(unicodeScalars.map { $0.value < 0x20 ? "·" : Character($0) }) }
}
