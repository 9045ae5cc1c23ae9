// A small JSON value as a tree, and how its members are asked for.

/// A JSON value.
enum JSONValue: Sendable, Equatable {
    case object([String: JSONValue])
    case array([JSONValue])
    case string(String)
    case number(Double)
    case boolean(Bool)
    case null

    /// The member called `key`; nil when there is none, or it is null.
    subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self, let value = members[key], value != .null else { return nil }
        return value
    }

    var string: String? { if case .string(let string) = self { string } else { nil } }
    var boolean: Bool? { if case .boolean(let boolean) = self { boolean } else { nil } }
    var array: [JSONValue]? { if case .array(let array) = self { array } else { nil } }
    var object: [String: JSONValue]? { if case .object(let object) = self { object } else { nil } }
    var integer: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }

    /// What kind of value this is, in words.
    var kind: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string(let string): "'\(string.prefix(60))'"
        case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
        case .boolean(let boolean): "\(boolean)"
        case .null: "null"
        }
    }
}

/// A part of a JSON file that knows where it came from, so that errors can say it.
struct JSONPart: Sendable {
    let value: JSONValue
    let file: String
    let path: String

    /// The part called `key`; nil when absent or null.
    subscript(key: String) -> JSONPart? {
        value[key].map { JSONPart(value: $0, file: file, path: path.isEmpty ? key : "\(path).\(key)") }
    }

    /// The elements of the array called `key`, none when absent.
    func elements(_ key: String) throws -> [JSONPart] {
        guard let part = self[key] else { return [] }
        guard let array = part.value.array else { throw part.mismatch("an array") }
        return array.enumerated().map { JSONPart(value: $1, file: file, path: "\(part.path)[\($0)]") }
    }

    /// The string called `key`; nil when absent.
    func string(_ key: String) throws -> String? {
        guard let part = self[key] else { return nil }
        guard let string = part.value.string else { throw part.mismatch("a string") }
        return string
    }

    /// The truth value called `key`; nil when absent.
    func boolean(_ key: String) throws -> Bool? {
        guard let part = self[key] else { return nil }
        guard let boolean = part.value.boolean else { throw part.mismatch("true or false") }
        return boolean
    }

    /// The integer called `key`; nil when absent.
    func integer(_ key: String) throws -> Int? {
        guard let part = self[key] else { return nil }
        guard let integer = part.value.integer else { throw part.mismatch("an integer") }
        return integer
    }

    /// The string that says what kind of step this is.
    func type() throws -> String {
        guard let type = try string("type") else {
            throw TokenizerError.malformed(file: file, key: "\(path).type", expected: "a string", got: "nothing")
        }
        return type
    }

    /// The error for a value of another kind than `expected`.
    func mismatch(_ expected: String) -> TokenizerError {
        .malformed(file: file, key: path, expected: expected, got: value.kind)
    }

    /// The error for something sound that is not implemented.
    func unsupported(_ key: String, _ got: String, _ supported: [String]) -> TokenizerError {
        .unsupported(file: file, key: "\(path).\(key)", got: got, supported: supported)
    }
}
