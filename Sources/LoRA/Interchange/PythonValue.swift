// Values as Python writes them, because the metadata of kohya's files are texts of Python's making.

import Foundation

/// A value that `str` or `json.dumps` of Python writes.
indirect enum PythonValue {
    case none
    case truth(Bool)
    case whole(Int)
    case number(Double)
    case text(String)
    case tuple([PythonValue])
    case members([(key: String, value: PythonValue)])

    init(_ value: Double?) { self = value.map { .number($0) } ?? .none }
    init(_ value: Int?) { self = value.map { .whole($0) } ?? .none }
    init(_ value: String?) { self = value.map { .text($0) } ?? .none }

    /// What `str` gives.
    var str: String {
        switch self {
        case .none: "None"
        case .truth(let value): value ? "True" : "False"
        case .whole(let value): "\(value)"
        case .number(let value): "\(value)"  // The shortest digits that read back, and exponents, are the same.
        case .text(let value): value
        case .tuple(let values): "(\(values.map(\.str).joined(separator: ", ")))"
        case .members: json
        }
    }

    /// What `json.dumps` gives: ASCII, members in their order.
    var json: String {
        switch self {
        case .none: "null"
        case .truth(let value): value ? "true" : "false"
        case .whole, .number: str
        case .text(let value): Self.quoted(value)
        case .tuple(let values): "[\(values.map(\.json).joined(separator: ", "))]"
        case .members(let members):
            "{\(members.map { "\(Self.quoted($0.key)): \($0.value.json)" }.joined(separator: ", "))}"
        }
    }

    private static func quoted(_ text: String) -> String {
        text.utf16.reduce(into: "\"") { quoted, unit in
            switch unit {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case 0x08: quoted += "\\b"
            case 0x09: quoted += "\\t"
            case 0x0A: quoted += "\\n"
            case 0x0C: quoted += "\\f"
            case 0x0D: quoted += "\\r"
            case 0x20...0x7E: quoted += String(UnicodeScalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        } + "\""
    }
}
