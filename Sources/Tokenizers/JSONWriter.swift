// JSON written member by member, in the order given, so that the same tokenizer always gives the same bytes.

/// A JSON text that grows.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// Writes an object whose members `body` writes.
    mutating func object(_ body: (inout JSONWriter) -> Void) { enclose("{", "}", body) }

    /// Writes an array with what `body` writes for each element.
    mutating func array<Elements: Sequence>(
        _ elements: Elements, _ body: (inout JSONWriter, Elements.Element) -> Void
    ) {
        enclose("[", "]") { json in
            for element in elements {
                json.separate()
                body(&json, element)
                json.needsComma = true
            }
        }
    }

    /// Writes a member with a small value.
    mutating func member(_ key: String, _ value: JSONValue) { member(key) { $0.value(value) } }

    /// Writes a member whose value `body` writes.
    mutating func member(_ key: String, _ body: (inout JSONWriter) -> Void) {
        separate()
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        body(&self)
        needsComma = true
    }

    /// Writes a value; the members of objects are sorted, but `type` comes first.
    mutating func value(_ value: JSONValue) {
        switch value {
        case .object(let members):
            let keys = members.keys.sorted { ($0 == "type" ? "" : $0) < ($1 == "type" ? "" : $1) }
            object { json in for key in keys { json.member(key, members[key] ?? .null) } }
        case .array(let elements): array(elements) { $0.value($1) }
        case .string(let text): string(text)
        case .number(let number): bytes += Array((Int(exactly: number).map(String.init) ?? "\(number)").utf8)
        case .boolean(let boolean): bytes += Array((boolean ? "true" : "false").utf8)
        case .null: bytes += Array("null".utf8)
        }
    }

    private mutating func enclose(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        bytes.append(UInt8(ascii: open))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: close))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
