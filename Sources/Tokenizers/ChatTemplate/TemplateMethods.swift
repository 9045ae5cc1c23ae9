// The methods of strings, mappings, lists and loops, and the functions that chat templates may call.

extension TemplateEvaluator {
    static let stringMethods: Set<String> = [
        "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "upper", "lower",
        "title", "capitalize", "replace", "find", "rfind", "count", "join", "isdigit", "isalpha", "isspace",
        "removeprefix", "removesuffix",
    ]
    static let mapMethods: Set<String> = ["items", "keys", "values", "get"]
    static let listMethods: Set<String> = ["index", "count"]

    // MARK: - Functions

    func function(_ call: TemplateCall) throws -> TemplateValue {
        switch call.name {
        case "raise_exception":
            throw ChatTemplateError.refused(call.argument(0, "message")?.printed ?? "no reason given")
        case "strftime_now": return .string(clock.text(try call.text(0, "format")))
        case "namespace": return .namespace(TemplateNamespace(try map(call)))
        case "dict": return .map(try map(call))
        default: return try range(call)
        }
    }

    private func map(_ call: TemplateCall) throws -> TemplateMap {
        var map = TemplateMap()
        if case .map(let given)? = call.positional.first { map = given }
        for (name, value) in call.named.sorted(by: { $0.key < $1.key }) { map[name] = value }
        return map
    }

    private func range(_ call: TemplateCall) throws -> TemplateValue {
        let numbers = call.positional.compactMap(\.integer)
        guard numbers.count == call.positional.count, (1...3).contains(numbers.count) else {
            throw call.error("'range' needs one to three integers")
        }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        guard step != 0, [start, stop, step].allSatisfy({ $0.magnitude < 1 << 40 }) else {
            throw call.error("'range' cannot count from \(start) to \(stop) by \(step)")
        }
        guard (stop - start) / step <= 100_000 else {
            throw ChatTemplateError.tooMuchWork(line: call.line, limit: "a range of 100000 numbers")
        }
        return .list(Swift.stride(from: start, to: stop, by: step).map { .integer($0) })
    }

    // MARK: - Methods

    func method(of object: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        switch object {
        case .string(let text): return try stringMethod(text, call)
        case .map(let map): return try mapMethod(map, call)
        case .list(let items):
            let wanted = call.argument(0, "value") ?? .none
            if call.name == "count" { return .integer(items.filter { $0.equals(wanted) }.count) }
            guard let index = items.firstIndex(where: { $0.equals(wanted) }) else {
                throw call.error("\(wanted.represented.prefix(60)) is not in the list")
            }
            return .integer(index)
        case .loop(let state): return loopMethod(state, call)
        default: throw call.error("\(object.kind) has no method '\(call.name)'")
        }
    }

    private func loopMethod(_ state: TemplateLoopState, _ call: TemplateCall) -> TemplateValue {
        if call.name == "cycle" {
            return call.positional.isEmpty
                ? .undefined("loop.cycle") : call.positional[state.index % call.positional.count]
        }
        let isSame = state.lastChanged.map { TemplateValue.list($0).equals(.list(call.positional)) } ?? false
        state.lastChanged = call.positional
        return .bool(!isSame)
    }

    private func mapMethod(_ map: TemplateMap, _ call: TemplateCall) throws -> TemplateValue {
        switch call.name {
        case "keys": return .list(map.keys.map { .string($0) })
        case "values": return .list(map.pairs.map(\.value))
        case "get": return map[try call.text(0, "key")] ?? call.argument(1, "default") ?? .none
        default: return .list(map.pairs.map { .list([.string($0.key), $0.value]) })
        }
    }

    private func stringMethod(_ text: String, _ call: TemplateCall) throws -> TemplateValue {
        switch call.name {
        case "strip": return .string(text.trimmed(of: try optionalText(call, 0, "chars")))
        case "lstrip": return .string(text.trimmed(of: try optionalText(call, 0, "chars"), atEnd: false))
        case "rstrip": return .string(text.trimmed(of: try optionalText(call, 0, "chars"), atStart: false))
        case "upper": return .string(text.uppercased())
        case "lower": return .string(text.lowercased())
        case "title": return .string(text.pythonTitle)
        case "capitalize": return .string(text.pythonCapitalized)
        case "split", "rsplit", "splitlines": return .list(try split(text, call).map { .string($0) })
        case "startswith": return .bool(try affixes(call).contains { text.utf8.starts(with: $0.utf8) })
        case "endswith":
            return .bool(try affixes(call).contains { text.utf8.reversed().starts(with: $0.utf8.reversed()) })
        case "removeprefix":
            let prefix = try call.text(0, "prefix")
            return .string(text.utf8.starts(with: prefix.utf8) ? text.dropping(bytes: prefix.utf8.count) : text)
        case "removesuffix":
            let suffix = try call.text(0, "suffix")
            guard text.utf8.reversed().starts(with: suffix.utf8.reversed()) else { return .string(text) }
            return .string(text.keeping(bytes: text.utf8.count - suffix.utf8.count))
        case "replace":
            let (old, new) = (try call.text(0, "old"), try call.text(1, "new"))
            return .string(try replaced(text, old, new, count: call.argument(2, "count")?.integer, call))
        default: return try search(text, call)
        }
    }

    private func search(_ text: String, _ call: TemplateCall) throws -> TemplateValue {
        switch call.name {
        case "isdigit": return .bool(!text.isEmpty && text.unicodeScalars.allSatisfy(\.isTemplateDigit))
        case "isalpha": return .bool(!text.isEmpty && text.unicodeScalars.allSatisfy(\.properties.isAlphabetic))
        case "isspace": return .bool(!text.isEmpty && text.unicodeScalars.allSatisfy(\.isTemplateSpace))
        case "count": return .integer(text.parts(separatedBy: try call.text(0, "sub")).count - 1)
        case "join":
            let items = try call.argument(0, "items").map { try elements($0, call.line) } ?? []
            try checkLength(items.reduce(items.count * text.utf8.count) { $0 + $1.printed.utf8.count }, call.line)
            return .string(items.map(\.printed).joined(separator: text))
        default:
            let parts = text.parts(separatedBy: try call.text(0, "sub"))
            guard parts.count > 1 else { return .integer(-1) }
            let before =
                call.name == "find"
                ? parts[0].unicodeScalars.count
                : text.unicodeScalars.count - parts[parts.count - 1].unicodeScalars.count
                    - (try call.text(0, "sub")).unicodeScalars.count
            return .integer(before)
        }
    }

    private func affixes(_ call: TemplateCall) throws -> [String] {
        if case .list(let items)? = call.positional.first { return items.map(\.printed) }
        return [try call.text(0, "affix")]
    }

    private func split(_ text: String, _ call: TemplateCall) throws -> [String] {
        if call.name == "splitlines" {
            var lines = text.replacing(bytesOf: "\r\n", with: "\n", count: nil).parts(separatedBy: "\n")
            if lines.last == "" { lines.removeLast() }
            return lines
        }
        let limit = call.argument(1, "maxsplit")?.integer ?? -1
        guard let separator = try optionalText(call, 0, "sep") else {
            let words = text.unicodeScalars.split(whereSeparator: \.isTemplateSpace).map { String($0) }
            guard limit < 0 || words.count <= limit + 1 else {
                throw ChatTemplateError.unsupported(line: call.line, what: "split at white space with a limit")
            }
            return words
        }
        guard !separator.isEmpty else { throw call.error("'\(call.name)' cannot split at an empty text") }
        let parts = text.parts(separatedBy: separator)
        guard limit >= 0, parts.count - 1 > limit else { return parts }
        if call.name == "split" {
            return Array(parts.prefix(limit)) + [parts.dropFirst(limit).joined(separator: separator)]
        }
        let cut = parts.count - limit
        return [parts.prefix(cut).joined(separator: separator)] + Array(parts.dropFirst(cut))
    }
}
