// What a JSON decoder complains of, in words that name keys as files have them.

extension DecodingError {
    /// What is missing or of another type, with its key in snake case.
    public var inWords: String {
        switch self {
        case .keyNotFound(let key, let context): "missing key '\(Self.path(context.codingPath + [key]))'"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            "'\(Self.path(context.codingPath))' is not \(Self.word(for: type))"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            "'\(Self.path(context.codingPath))': \(context.debugDescription)"
        default: "not valid JSON"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { key in
            key.stringValue.reduce(into: "") { text, character in
                if character.isUppercase { text += "_" }
                text += character.lowercased()
            }
        }.joined(separator: ".")
    }

    private static func word(for type: Any.Type) -> String {
        switch type {
        case is Int.Type: "a whole number"
        case is Double.Type: "a number"
        case is String.Type: "a text"
        case is Bool.Type: "true or false"
        default: "of the kind that is expected"
        }
    }
}
