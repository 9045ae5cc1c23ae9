// The values that a chat template works with, and how Python would print, compare and test them.

/// A value of a template.
enum TemplateValue {
    /// A name that nothing was assigned to; printing it gives nothing.
    case undefined(String)
    case none
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case string(String)
    case list([TemplateValue])
    case map(TemplateMap)
    case namespace(TemplateNamespace)
    case macro(TemplateMacro)
    case function(String)
    /// A method together with the value it belongs to.
    indirect case method(TemplateValue, String)
    case loop(TemplateLoopState)
}

extension TemplateValue {
    /// Whether lists and maps lie in each other at most so deep: taking apart what is deeper would exhaust the stack.
    var isShallow: Bool {
        var room = 1_000_000  // values looked at: a list may hold the same list many times over
        return fits(100, &room)
    }

    private func fits(_ depth: Int, _ room: inout Int) -> Bool {
        room -= 1
        let inner: [TemplateValue]
        switch self {
        case .list(let items): inner = items
        case .map(let map): inner = map.pairs.map(\.value)
        case .method(let value, _): inner = [value]
        default: return room > 0
        }
        guard depth > 0, room > 0 else { return false }
        for value in inner where !value.fits(depth - 1, &room) { return false }
        return true
    }
}

/// Keys and values in the order in which they were written.
struct TemplateMap {
    private(set) var keys: [String] = []
    private var values: [String: TemplateValue] = [:]

    init(_ pairs: [(String, TemplateValue)] = []) {
        for (key, value) in pairs { self[key] = value }
    }

    var count: Int { keys.count }
    var pairs: [(key: String, value: TemplateValue)] { keys.compactMap { key in values[key].map { (key, $0) } } }

    subscript(key: String) -> TemplateValue? {
        get { values[key] }
        set {
            if values[key] == nil { keys.append(key) }
            values[key] = newValue
        }
    }
}

/// `namespace(…)`: the one thing that a template may change in place.
final class TemplateNamespace {
    var values: TemplateMap
    init(_ values: TemplateMap) { self.values = values }
}

/// Where a loop stands: the `loop` variable.
final class TemplateLoopState {
    let items: [TemplateValue]
    let depth: Int
    var index = 0
    var lastChanged: [TemplateValue]?

    init(_ items: [TemplateValue], depth: Int) {
        self.items = items
        self.depth = depth
    }
}

/// Names and their values, in a chain of scopes.
final class TemplateScope {
    var values: [String: TemplateValue]
    let parent: TemplateScope?

    init(_ values: [String: TemplateValue] = [:], parent: TemplateScope? = nil) {
        self.values = values
        self.parent = parent
    }

    func lookUp(_ name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let value = current.values[name] { return value }
            scope = current.parent
        }
        return nil
    }
}

extension TemplateValue {
    /// What `if` makes of the value.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .double(let value): value != 0
        case .string(let text): !text.isEmpty
        case .list(let items): !items.isEmpty
        case .map(let map): map.count > 0
        case .namespace, .macro, .function, .method, .loop: true
        }
    }

    /// What kind of value this is, in words.
    var kind: String {
        switch self {
        case .undefined(let name): "'\(name)', which is undefined"
        case .none: "none"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .double: "a number"
        case .string: "a string"
        case .list: "a list"
        case .map: "a mapping"
        case .namespace: "a namespace"
        case .macro: "a macro"
        case .function, .method: "a function"
        case .loop: "the loop"
        }
    }

    /// The number, a boolean counting as 0 or 1.
    var number: Double? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .integer(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The integer, a boolean counting as 0 or 1.
    var integer: Int? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .integer(let value): value
        default: nil
        }
    }

    /// `str(value)`.
    var printed: String {
        switch self {
        case .undefined: ""
        case .string(let text): text
        default: represented
        }
    }

    /// `repr(value)`.
    var represented: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "None"
        case .bool(let value): value ? "True" : "False"
        case .integer(let value): String(value)
        case .double(let value): Self.printed(value)
        case .string(let text): text.pythonRepresentation
        case .list(let items): "[" + items.map(\.represented).joined(separator: ", ") + "]"
        case .map(let map):
            "{" + map.pairs.map { "\($0.key.pythonRepresentation): \($0.value.represented)" }.joined(separator: ", ")
                + "}"
        case .namespace: "<Namespace>"
        case .macro(let macro): "<Macro '\(macro.name)'>"
        case .function(let name), .method(_, let name): "<function \(name)>"
        case .loop: "<LoopContext>"
        }
    }

    private static func printed(_ value: Double) -> String {
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        return value.isNaN ? "nan" : "\(value)"
    }

    /// `==`, as Python compares.
    func equals(_ other: TemplateValue) -> Bool {
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)): return left.utf8.elementsEqual(right.utf8)
        case (.list(let left), .list(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.equals($1) }
        case (.map(let left), .map(let right)):
            return left.count == right.count
                && left.pairs.allSatisfy { pair in right[pair.key].map { pair.value.equals($0) } ?? false }
        case (.namespace(let left), .namespace(let right)): return left === right
        default:
            guard let left = number, let right = other.number else { return false }
            return left == right
        }
    }

    /// True when `self` comes before `other`; nil when they cannot be ordered.
    func precedes(_ other: TemplateValue) -> Bool? {
        switch (self, other) {
        case (.string(let left), .string(let right)):
            return left.unicodeScalars.lexicographicallyPrecedes(right.unicodeScalars)
        case (.list(let left), .list(let right)):
            for (a, b) in zip(left, right) where !a.equals(b) { return a.precedes(b) }
            return left.count < right.count
        default:
            guard let left = number, let right = other.number else { return nil }
            return left < right
        }
    }
}

extension String {
    /// The text as a Python literal.
    var pythonRepresentation: String {
        let quote: Unicode.Scalar = unicodeScalars.contains("'") && !unicodeScalars.contains("\"") ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in unicodeScalars {
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case quote:
                result.append("\\")
                result.append(quote)
            case let scalar where scalar.value < 32 || scalar.value == 127:
                let digits = String(scalar.value, radix: 16)
                result.append(contentsOf: ("\\x" + (digits.count < 2 ? "0" : "") + digits).unicodeScalars)
            default: result.append(scalar)
            }
        }
        result.append(quote)
        return String(result)
    }
}
