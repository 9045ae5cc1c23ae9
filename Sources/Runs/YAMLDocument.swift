// YAML text as plain values that know where they stand. The only file that knows Yams.

import Yams

/// A value of a configuration file and where it stands; values from the command line stand nowhere.
struct LocatedValue: Sendable {
    enum Content: Sendable {
        case null
        /// A word, number or text; `isPlain` without quotes, so that it may be a number.
        case scalar(String, isPlain: Bool)
        case list([LocatedValue])
        case mapping([Entry])
    }

    struct Entry: Sendable {
        var key: String
        var keyPosition: Position?
        var value: LocatedValue
    }

    var content: Content
    var position: Position?

    /// What the value is, for an error: `'abc'`, `a list` …
    var found: String {
        switch content {
        case .null: "nothing"
        case .scalar(let text, _): quoted(text)
        case .list: "a list"
        case .mapping: "a group of keys"
        }
    }
}

/// The top-level keys of a YAML file.
struct YAMLDocument {
    private(set) var entries: [LocatedValue.Entry] = []
    private(set) var problems: [ConfigurationProblem] = []

    /// Deeper values have no meaning in a configuration; more values than this are no configuration.
    private static let deepest = 4
    private static let mostValues = 10_000
    private static let mostDuplicates = 100

    /// Reads `text`; throws where it is not a group of keys. Keys given twice are listed in `problems`.
    init(_ text: String, source: String) throws(ConfigurationError) {
        let root = try composed(text, source: source)
        guard let root else { throw Self.empty(source) }
        var budget = Self.mostValues
        let value = Self.convert(root, depth: 0, budget: &budget)
        guard budget > 0 else {
            throw ConfigurationError(source, nil, "more than 10,000 values; this is not a run's configuration")
        }
        switch value.content {
        case .null: throw Self.empty(source)
        case .mapping(let entries): self.entries = entries
        case .scalar, .list:
            let advice = "expected lines 'key: value' (with a space after the colon), got \(value.found)"
            throw ConfigurationError(source, value.position, advice)
        }
    }

    /// The value that `text` means on its own, as after `key:`; nil if it is not YAML.
    static func value(_ text: String) -> LocatedValue? {
        guard let node = try? Yams.compose(yaml: text) else {
            return text.allSatisfy(\.isWhitespace) ? LocatedValue(content: .null, position: nil) : nil
        }
        var budget = mostValues
        let value = convert(node, depth: 1, budget: &budget)
        return budget > 0 ? value.withoutPositions : nil
    }

    // MARK: - Yams

    /// Yams refuses a key given twice; here its later lines are set aside so that the rest is still checked.
    private mutating func composed(_ text: String, source: String) throws(ConfigurationError) -> Node? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for _ in 0...Self.mostDuplicates {
            do {
                return try Yams.compose(yaml: lines.joined(separator: "\n"))
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                let first = Position(line: context.mark.line, column: context.mark.column)
                guard let key = keys.first, let later = Self.setAside(key, after: first, in: &lines) else {
                    throw ConfigurationError(
                        source, first, "a key is given twice: \(keys.map(quoted).joined(separator: ", "))")
                }
                let message = "'\(key)' is given twice, first on line \(first.line); keep one"
                problems.append(ConfigurationProblem(source: source, position: later, message: message))
            } catch {
                throw YAMLSyntax.error(error, source: source, lines: lines)
            }
        }
        throw ConfigurationError(source, nil, "more than 100 keys are given twice")
    }

    /// Marks the next line that gives `key` again, in the same column, as one to be passed over.
    private static func setAside(_ key: String, after first: Position, in lines: inout [String]) -> Position? {
        guard first.line >= 1, first.line < lines.count, first.column >= 1 else { return nil }
        for index in first.line..<lines.count {
            let margin = lines[index].prefix { $0 == " " }.count
            guard margin == first.column - 1 else { continue }
            let rest = lines[index].dropFirst(margin)
            let spellings = [key, "\"\(key)\"", "'\(key)'"]
            for spelling in spellings where rest.hasPrefix(spelling) {
                let after = rest.dropFirst(spelling.count)
                guard after.drop(while: { $0 == " " }).first == ":" else { continue }
                let margins = String(repeating: " ", count: margin)
                lines[index] = margins + passedOver + "\(index)" + after
                return Position(line: index + 1, column: first.column)
            }
        }
        return nil
    }

    /// No key of ours starts so.
    private static let passedOver = "given-twice-"

    private static func convert(_ node: Node, depth: Int, budget: inout Int) -> LocatedValue {
        budget -= 1
        let position = node.mark.map { Position(line: $0.line, column: $0.column) }
        guard budget > 0 else { return LocatedValue(content: .null, position: position) }
        switch node {
        case .scalar(let scalar):
            return LocatedValue(content: content(scalar), position: position)
        case .sequence(let sequence):
            var values: [LocatedValue] = []
            for item in sequence where depth < deepest && budget > 0 {
                values.append(convert(item, depth: depth + 1, budget: &budget))
            }
            return LocatedValue(content: .list(values), position: position)
        case .mapping(let mapping):
            var entries: [LocatedValue.Entry] = []
            for (key, value) in mapping where depth < deepest && budget > 0 {
                let word = key.scalar?.string ?? "? …"
                guard !word.hasPrefix(passedOver) else { continue }
                let mark = key.mark.map { Position(line: $0.line, column: $0.column) }
                let converted = convert(value, depth: depth + 1, budget: &budget)
                entries.append(.init(key: word, keyPosition: mark, value: converted))
            }
            return LocatedValue(content: .mapping(entries), position: position)
        case .alias:
            return LocatedValue(content: .null, position: position)
        }
    }

    private static func content(_ scalar: Node.Scalar) -> LocatedValue.Content {
        let isPlain = (scalar.style == .plain || scalar.style == .any) && scalar.tag.rawValue != Tag.Name.str.rawValue
        if isPlain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) { return .null }
        return .scalar(scalar.string, isPlain: isPlain)
    }

    private static func empty(_ source: String) -> ConfigurationError {
        let advice = "nothing is set; it needs at least base_model, train_data_dir and output_dir"
        return ConfigurationError(source, nil, advice)
    }
}

extension LocatedValue {
    fileprivate var withoutPositions: LocatedValue {
        var copy = self
        copy.position = nil
        if case .list(let values) = content { copy.content = .list(values.map(\.withoutPositions)) }
        return copy
    }
}

/// `text` in quotes, on one line, cut where it is long.
func quoted(_ text: String) -> String {
    let shown = text.count <= 60 ? text : text.prefix(50) + "…"
    let safe = shown.unicodeScalars.reduce(into: "") { line, scalar in
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: line += scalar == "\n" ? "\\n" : " "
        default: line.unicodeScalars.append(scalar)
        }
    }
    return "'\(safe)'"
}
