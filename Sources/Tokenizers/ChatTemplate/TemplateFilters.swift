// The filters (`value | name`) and tests (`value is name`) of chat templates.

extension TemplateEvaluator {
    /// `value | name(…)`.
    mutating func filter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        switch name {
        case "default", "d":
            let replaces = call.argument(1, "boolean")?.isTrue == true ? !value.isTrue : value.isUndefined
            return replaces ? call.argument(0, "default_value") ?? .string("") : value
        case "safe": return value
        case "string": return .string(value.printed)
        case "tojson": return .string(try json(value, call))
        case "length", "count": return .integer(try length(value, call))
        case "int":
            return .integer(value.integer ?? Self.integer(from: value) ?? call.argument(0, "default")?.integer ?? 0)
        case "float":
            return .double(
                value.number ?? Double(value.printed) ?? call.argument(0, "default")?.number ?? 0)
        case "abs":
            guard let number = value.number else { throw call.error("'abs' needs a number, got \(value.kind)") }
            return value.integer.map { .integer($0 == .min ? .max : Swift.abs($0)) } ?? .double(Swift.abs(number))
        case "items", "dictsort": return try pairs(name, value, call)
        case "trim", "upper", "lower", "title", "capitalize", "replace", "indent", "escape", "e":
            return .string(try textFilter(name, value.printed, call))
        default: return try listFilter(name, value, call)
        }
    }

    private static func integer(from value: TemplateValue) -> Int? {
        if case .double(let number) = value { return Int(exactly: number.rounded(.towardZero)) }
        if case .string(let text) = value {
            return Int(text.trimmed()) ?? Double(text).flatMap { Int(exactly: $0.rounded(.towardZero)) }
        }
        return nil
    }

    private func length(_ value: TemplateValue, _ call: TemplateCall) throws -> Int {
        switch value {
        case .string(let text): return text.unicodeScalars.count
        case .undefined: return 0
        default: return try elements(value, call.line).count
        }
    }

    private func pairs(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        if name == "items", value.isUndefined { return .list([]) }
        guard case .map(let map) = value else { throw call.error("'\(name)' needs a mapping, got \(value.kind)") }
        var pairs = map.pairs
        if name == "dictsort" {
            pairs.sort { $0.key.lowercased() < $1.key.lowercased() }
        }
        return .list(pairs.map { .list([.string($0.key), $0.value]) })
    }

    private func textFilter(_ name: String, _ text: String, _ call: TemplateCall) throws -> String {
        switch name {
        case "trim": return text.trimmed(of: try optionalText(call, 0, "chars"))
        case "upper": return text.uppercased()
        case "lower": return text.lowercased()
        case "title": return text.pythonTitle
        case "capitalize": return text.pythonCapitalized
        case "replace":
            let (old, new) = (try call.text(0, "old"), try call.text(1, "new"))
            return try replaced(text, old, new, count: call.argument(2, "count")?.integer, call)
        case "indent": return try indented(text, call)
        default:
            return [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")]
                .reduce(text) { $0.replacing(bytesOf: $1.0, with: $1.1, count: nil) }
        }
    }

    func replaced(
        _ text: String, _ old: String, _ new: String, count: Int?, _ call: TemplateCall
    ) throws -> String {
        let (size, overflow) = (text.utf8.count + 1).multipliedReportingOverflow(by: new.utf8.count + 1)
        // Only a replacement that could grow beyond the limit is measured before it is made.
        if overflow || size > Self.maximumOutput {
            let grown = text.parts(separatedBy: old).count.multipliedReportingOverflow(by: new.utf8.count)
            try checkLength(grown.overflow ? .max : grown.partialValue, call.line)
        }
        return text.replacing(bytesOf: old, with: new, count: count)
    }

    func optionalText(_ call: TemplateCall, _ index: Int, _ name: String) throws -> String? {
        switch call.argument(index, name) {
        case nil, TemplateValue.none?: nil
        default: try call.text(index, name)
        }
    }

    private func indented(_ text: String, _ call: TemplateCall) throws -> String {
        let width: String =
            switch call.argument(0, "width") {
            case .string(let text)?: text
            case let value: String(repeating: " ", count: max(0, min(value?.integer ?? 4, 1000)))
            }
        let lines = text.parts(separatedBy: "\n")
        let indentsFirst = call.argument(1, "first")?.isTrue == true
        let indentsBlank = call.argument(2, "blank")?.isTrue == true
        try checkLength(text.utf8.count + lines.count * width.utf8.count, call.line)
        return lines.enumerated().map { index, line in
            (index == 0 ? indentsFirst : indentsBlank || !line.isEmpty) ? width + line : line
        }.joined(separator: "\n")
    }

    // MARK: - Lists

    private mutating func listFilter(
        _ name: String, _ value: TemplateValue, _ call: TemplateCall
    ) throws -> TemplateValue {
        switch name {
        case "list": return .list(try elements(value, call.line))
        case "first": return try elements(value, call.line).first ?? .undefined("the first of nothing")
        case "last": return try elements(value, call.line).last ?? .undefined("the last of nothing")
        case "join": return .string(try join(try elements(value, call.line), call))
        case "reverse":
            let reversed = try elements(value, call.line).reversed().map { $0 }
            if case .string = value { return .string(reversed.map(\.printed).joined()) }
            return .list(reversed)
        case "unique":
            var kept: [TemplateValue] = []
            for item in try elements(value, call.line) where !kept.contains(where: { $0.equals(item) }) {
                try step(call.line, cost: kept.count)
                kept.append(item)
            }
            return .list(kept)
        case "sum": return try sum(try elements(value, call.line), call)
        case "min", "max", "sort": return try ordered(name, try elements(value, call.line), call)
        case "map": return try map(try elements(value, call.line), call)
        case "select", "reject", "selectattr", "rejectattr":
            return try select(name, try elements(value, call.line), call)
        default: throw ChatTemplateError.unsupported(line: call.line, what: "the filter '\(name)'")
        }
    }

    private func join(_ items: [TemplateValue], _ call: TemplateCall) throws -> String {
        let separator = call.argument(0, "d")?.printed ?? ""
        let texts: [String]
        if let attribute = call.argument(1, "attribute")?.printed {
            texts = try items.map { try part(attribute, of: $0, call).printed }
        } else {
            texts = items.map(\.printed)
        }
        try checkLength(texts.reduce(texts.count * separator.utf8.count) { $0 + $1.utf8.count }, call.line)
        return texts.joined(separator: separator)
    }

    private func sum(_ items: [TemplateValue], _ call: TemplateCall) throws -> TemplateValue {
        let numbers = items.compactMap(\.number)
        guard numbers.count == items.count else { throw call.error("'sum' needs numbers") }
        let total = numbers.reduce(call.argument(1, "start")?.number ?? 0, +)
        guard items.allSatisfy({ $0.integer != nil }), let integer = Int(exactly: total) else { return .double(total) }
        return .integer(integer)
    }

    private func ordered(_ name: String, _ items: [TemplateValue], _ call: TemplateCall) throws -> TemplateValue {
        let attribute = call.argument(name == "sort" ? 2 : 1, "attribute")?.printed
        let isCaseSensitive = call.argument(name == "sort" ? 1 : 0, "case_sensitive")?.isTrue == true
        let keyed = try items.map { item -> (key: TemplateValue, item: TemplateValue) in
            let key = try attribute.map { try part($0, of: item, call) } ?? item
            if case .string(let text) = key, !isCaseSensitive { return (key: .string(text.lowercased()), item: item) }
            return (key: key, item: item)
        }
        let sorted = try keyed.sorted { left, right in
            guard let precedes = left.key.precedes(right.key) else {
                throw call.error("'\(name)' cannot compare \(left.key.kind) and \(right.key.kind)")
            }
            return precedes
        }.map(\.item)
        switch name {
        case "min": return sorted.first ?? .undefined("the smallest of nothing")
        case "max": return sorted.last ?? .undefined("the largest of nothing")
        default: return .list(call.argument(0, "reverse")?.isTrue == true ? sorted.reversed() : sorted)
        }
    }

    private mutating func map(_ items: [TemplateValue], _ call: TemplateCall) throws -> TemplateValue {
        if let attribute = call.named["attribute"]?.printed {
            return .list(
                try items.map { item in
                    let value = try part(attribute, of: item, call)
                    return value.isUndefined ? call.named["default"] ?? value : value
                })
        }
        let name = try call.text(0, "filter")
        var inner = TemplateCall(name: name, line: call.line)
        inner.positional = Array(call.positional.dropFirst())
        inner.named = call.named
        var result: [TemplateValue] = []
        for item in items { result.append(try filter(name, item, inner)) }
        return .list(result)
    }

    private mutating func select(
        _ name: String, _ items: [TemplateValue], _ call: TemplateCall
    ) throws -> TemplateValue {
        let usesAttribute = name.hasSuffix("attr")
        let attribute = usesAttribute ? try call.text(0, "attribute") : ""
        var rest = Array(call.positional.dropFirst(usesAttribute ? 1 : 0))
        let test: String? = rest.isEmpty ? nil : rest.removeFirst().printed
        var inner = TemplateCall(name: test ?? "", line: call.line)
        inner.positional = rest
        var kept: [TemplateValue] = []
        for item in items {
            try step(call.line)
            let value = usesAttribute ? try part(attribute, of: item, call) : item
            let holds = try test.map { try self.test($0, value, inner) } ?? value.isTrue
            if holds == name.hasPrefix("select") { kept.append(item) }
        }
        return .list(kept)
    }

    /// `a.b` of a value, as `map(attribute="a.b")` takes it.
    private func part(_ path: String, of value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        var value = value
        for name in path.parts(separatedBy: ".") {
            switch value {
            case .map(let map): value = map[name] ?? .undefined(name)
            case .namespace(let namespace): value = namespace.values[name] ?? .undefined(name)
            case .list(let items):
                value = Int(name).flatMap { items.indices.contains($0) ? items[$0] : nil } ?? .undefined(name)
            default: value = .undefined(name)
            }
        }
        return value
    }

    // MARK: - Tests

    /// `value is name(…)`.
    mutating func test(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> Bool {
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "true": return value.represented == "True"
        case "false": return value.represented == "False"
        case "integer": if case .integer = value { return true } else { return false }
        case "float": if case .double = value { return true } else { return false }
        case "number": return value.number != nil
        case "string": if case .string = value { return true } else { return false }
        case "mapping": if case .map = value { return true } else { return false }
        case "iterable", "sequence": return (try? elements(value, call.line)) != nil
        case "callable":
            switch value {
            case .macro, .function, .method: return true
            default: return false
            }
        case "odd", "even", "divisibleby": return try divides(name, value, call)
        case "lower": return value.printed == value.printed.lowercased()
        case "upper": return value.printed == value.printed.uppercased()
        default: return try compares(name, value, call)
        }
    }

    private func divides(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> Bool {
        let divisor = name == "divisibleby" ? call.argument(0, "num")?.integer ?? 0 : 2
        guard let integer = value.integer, divisor != 0 else {
            throw call.error("the test '\(name)' needs integers, got \(value.kind)")
        }
        if divisor == -1 { return true }
        return (integer % divisor == 0) == (name != "odd")
    }

    private func compares(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> Bool {
        let symbols = [
            "eq": "==", "equalto": "==", "sameas": "==", "ne": "!=", "lt": "<", "lessthan": "<", "le": "<=",
            "gt": ">", "greaterthan": ">", "ge": ">=", "in": "in",
        ]
        guard let symbol = symbols[name] else {
            throw ChatTemplateError.unsupported(line: call.line, what: "the test '\(name)'")
        }
        guard let other = call.argument(0, "other") else { throw call.error("the test '\(name)' needs a value") }
        return try holds(symbol, value, other, call.line)
    }
}

extension TemplateValue {
    /// True for a name that nothing was assigned to.
    var isUndefined: Bool { if case .undefined = self { true } else { false } }
}
