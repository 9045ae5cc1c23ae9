// A strict reader for the JSON of a safetensors header: unlike general ones it tells duplicate keys and exact integers.

import Foundation

/// What is wrong with the JSON, and at which byte.
struct HeaderProblem: Error {
    let position: Int
    let problem: String
}

/// A position in JSON text.
struct HeaderJSON {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func problem(_ problem: String) -> HeaderProblem { HeaderProblem(position: position, problem: problem) }

    /// Reads an object; `member` reads the value of each key and must consume it.
    mutating func object(_ member: (inout HeaderJSON, String) throws -> Void) throws {
        try expect("{")
        if accept("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try member(&self, key)
        } while accept(",")
        try expect("}")
    }

    /// Reads an array; `element` must consume each element.
    mutating func array(_ element: (inout HeaderJSON) throws -> Void) throws {
        try expect("[")
        if accept("]") { return }
        repeat { try element(&self) } while accept(",")
        try expect("]")
    }

    /// Reads an array of whole, non-negative numbers.
    mutating func naturals() throws -> [Int] {
        var values: [Int] = []
        try array { json in values.append(try json.natural()) }
        return values
    }

    /// Reads a whole, non-negative number.
    mutating func natural() throws -> Int {
        skipSpace()
        var value = 0, digits = 0
        while let byte = peek(), (0x30...0x39).contains(byte) {
            let (tens, high) = value.multipliedReportingOverflow(by: 10)
            let (next, carry) = tens.addingReportingOverflow(Int(byte - 0x30))
            guard !high, !carry else { throw problem("a number beyond \(Int.max.grouped)") }
            (value, digits) = (next, digits + 1)
            position += 1
        }
        guard digits > 0, !".eE".utf8.contains(peek() ?? 0) else { throw problem("a whole number ≥ 0 expected") }
        return value
    }

    /// Reads a string.
    mutating func string() throws -> String {
        try expect("\"")
        var text: [UInt8] = []
        var start = position
        while let byte = peek() {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                text.append(contentsOf: bytes[start..<(position - 1)])
                guard let string = String(bytes: text, encoding: .utf8) else { throw problem("text that is not UTF-8") }
                return string
            case UInt8(ascii: "\\"):
                text.append(contentsOf: bytes[start..<(position - 1)])
                text.append(contentsOf: try escaped())
                start = position
            case 0..<0x20: throw problem("a control character within a string")
            default: break
            }
        }
        throw problem("a string without end")
    }

    private mutating func escaped() throws -> [UInt8] {
        guard let byte = peek() else { throw problem("a string without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(try unicode()).utf8)
        default: throw problem("an unknown escape in a string")
        }
    }

    private mutating func unicode() throws -> Character {
        let unit = try hexadecimal()
        var value = unit
        if (0xD800..<0xDC00).contains(unit) {
            guard take("\\u") else { throw problem("half of a surrogate pair") }
            let low = try hexadecimal()
            guard (0xDC00..<0xE000).contains(low) else { throw problem("half of a surrogate pair") }
            value = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw problem("half of a surrogate pair") }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw problem("four hexadecimal digits expected")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// Passes over any value.
    mutating func skip(depth: Int = 0) throws {
        guard depth < 64 else { throw problem("values nested more than 64 deep") }
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"): try object { json, _ in try json.skip(depth: depth + 1) }
        case UInt8(ascii: "["): try array { json in try json.skip(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        default:
            let start = position
            while let byte = peek(), Self.isWordPart(byte) { position += 1 }
            guard position > start else { throw problem("a value expected") }
        }
    }

    private static func isWordPart(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || "+-.E".utf8.contains(byte)
    }

    /// Checks that only white space follows.
    mutating func end() throws {
        skipSpace()
        guard position == bytes.count else { throw problem("something follows the last brace") }
    }

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { wanted in
            guard wanted.count <= bytes.count - position,
                bytes[position..<(position + wanted.count)].elementsEqual(wanted)
            else { return false }
            position += wanted.count
            return true
        }
    }

    private mutating func accept(_ text: StaticString) -> Bool {
        skipSpace()
        return take(text)
    }

    private mutating func expect(_ text: StaticString) throws {
        guard accept(text) else { throw problem("'\(text)' expected") }
    }
}
