// Evaluates the expressions of a chat template.

/// The evaluated arguments of a filter, test, method, function or macro, and its name and line for messages.
struct TemplateCall {
    let name: String
    let line: Int
    var positional: [TemplateValue] = []
    var named: [String: TemplateValue] = [:]

    /// The argument at `index` or called `name`.
    func argument(_ index: Int, _ name: String) -> TemplateValue? {
        index < positional.count ? positional[index] : named[name]
    }

    /// The same as text, which must be there.
    func text(_ index: Int, _ name: String) throws -> String {
        guard case .string(let text)? = argument(index, name) else {
            throw error("'\(self.name)' needs a string as '\(name)', got \(argument(index, name)?.kind ?? "nothing")")
        }
        return text
    }

    func error(_ message: String) -> ChatTemplateError { .evaluation(line: line, message: message) }
}

extension TemplateEvaluator {
    mutating func evaluate(_ expression: TemplateExpression) throws -> TemplateValue {
        let line = expression.line
        try step(line)
        switch expression.kind {
        case .literal(let literal): return TemplateValue(literal)
        case .name(let name): return scope.lookUp(name) ?? global(name)
        case .list(let items):
            var values: [TemplateValue] = []
            for item in items { values.append(try evaluate(item)) }
            return .list(values)
        case .map(let pairs): return try map(pairs)
        case .attribute(let object, let name): return try attribute(name, of: try evaluate(object), line)
        case .item(let object, let index): return try item(try evaluate(index), of: try evaluate(object), line)
        case .slice(let object, let slice): return try self.slice(try evaluate(object), slice, line)
        case .call(let callee, let arguments): return try call(callee, arguments, line)
        case .filter(let value, let name, let arguments):
            return try filter(name, try evaluate(value), try call(arguments, name, line))
        case .test(let value, let name, let arguments):
            return .bool(try test(name, try evaluate(value), try call(arguments, name, line)))
        case .not(let value): return .bool(!(try evaluate(value).isTrue))
        case .negative(let value): return try negate(try evaluate(value), line)
        case .binary(let symbol, let left, let right): return try binary(symbol, left, right, line)
        case .compare(let first, let chain): return .bool(try compare(first, chain, line))
        case .condition(let condition, let then, let otherwise):
            if try evaluate(condition).isTrue { return try evaluate(then) }
            return try otherwise.map { try evaluate($0) } ?? .undefined("the value of an 'if' without 'else'")
        }
    }

    private func global(_ name: String) -> TemplateValue {
        switch name {
        case "raise_exception", "strftime_now", "range", "namespace", "dict": .function(name)
        default: .undefined(name)
        }
    }

    private mutating func map(
        _ pairs: [(key: TemplateExpression, value: TemplateExpression)]
    ) throws -> TemplateValue {
        var map = TemplateMap()
        for (key, value) in pairs {
            guard case .string(let name) = try evaluate(key) else {
                throw ChatTemplateError.unsupported(line: key.line, what: "a mapping whose keys are not strings")
            }
            map[name] = try evaluate(value)
        }
        return .map(map)
    }

    mutating func call(_ arguments: TemplateArguments, _ name: String, _ line: Int) throws -> TemplateCall {
        var call = TemplateCall(name: name, line: line)
        for argument in arguments.positional { call.positional.append(try evaluate(argument)) }
        for (name, value) in arguments.named { call.named[name] = try evaluate(value) }
        return call
    }

    private mutating func call(
        _ callee: TemplateExpression, _ arguments: TemplateArguments, _ line: Int
    ) throws -> TemplateValue {
        let function = try evaluate(callee)
        switch function {
        case .function(let name): return try self.function(try call(arguments, name, line))
        case .method(let object, let name): return try method(of: object, try call(arguments, name, line))
        case .macro(let macro): return try call(macro, try call(arguments, macro.name, line))
        default:
            throw ChatTemplateError.evaluation(line: line, message: "cannot call \(function.kind)")
        }
    }

    // MARK: - Parts of values

    private func attribute(_ name: String, of object: TemplateValue, _ line: Int) throws -> TemplateValue {
        switch object {
        case .undefined:
            throw ChatTemplateError.evaluation(line: line, message: "cannot take '.\(name)' of \(object.kind)")
        case .map(let map):
            if Self.mapMethods.contains(name) { return .method(object, name) }
            return map[name] ?? .undefined(name)
        case .namespace(let namespace): return namespace.values[name] ?? .undefined(name)
        case .loop(let state): return loopAttribute(name, state)
        case .string: return Self.stringMethods.contains(name) ? .method(object, name) : .undefined(name)
        case .list: return Self.listMethods.contains(name) ? .method(object, name) : .undefined(name)
        default: return .undefined(name)
        }
    }

    private func loopAttribute(_ name: String, _ state: TemplateLoopState) -> TemplateValue {
        let (index, count) = (state.index, state.items.count)
        switch name {
        case "index": return .integer(index + 1)
        case "index0": return .integer(index)
        case "revindex": return .integer(count - index)
        case "revindex0": return .integer(count - index - 1)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == count - 1)
        case "length": return .integer(count)
        case "depth": return .integer(state.depth)
        case "depth0": return .integer(state.depth - 1)
        case "previtem": return index > 0 ? state.items[index - 1] : .undefined("loop.previtem")
        case "nextitem": return index + 1 < count ? state.items[index + 1] : .undefined("loop.nextitem")
        case "cycle", "changed": return .method(.loop(state), name)
        default: return .undefined("loop.\(name)")
        }
    }

    private func item(_ index: TemplateValue, of object: TemplateValue, _ line: Int) throws -> TemplateValue {
        switch (object, index) {
        case (.undefined, _):
            throw ChatTemplateError.evaluation(line: line, message: "cannot take an item of \(object.kind)")
        case (.map(let map), .string(let key)): return map[key] ?? .undefined(key)
        case (.namespace(let namespace), .string(let key)): return namespace.values[key] ?? .undefined(key)
        case (.list(let items), .integer(let index)):
            let position = index < 0 ? items.count + index : index
            return items.indices.contains(position) ? items[position] : .undefined("item \(index)")
        case (.string(let text), .integer(let index)):
            let scalars = Array(text.unicodeScalars)
            let position = index < 0 ? scalars.count + index : index
            return scalars.indices.contains(position)
                ? .string(String(scalars[position])) : .undefined("character \(index)")
        case (_, .string(let name)): return try attribute(name, of: object, line)
        default: return .undefined("item \(index.printed)")
        }
    }

    private mutating func slice(
        _ object: TemplateValue, _ slice: TemplateSlice, _ line: Int
    ) throws -> TemplateValue {
        func bound(_ value: TemplateValue?) throws -> Int? {
            switch value {
            case nil, TemplateValue.none?: return nil
            case .integer(let value)?: return value
            case let value?:
                throw ChatTemplateError.evaluation(
                    line: line, message: "expected an integer in a slice, got \(value.kind)")
            }
        }
        let start = try bound(try slice.start.map { try evaluate($0) })
        let stop = try bound(try slice.stop.map { try evaluate($0) })
        let step = try bound(try slice.step.map { try evaluate($0) }) ?? 1
        guard step != 0, step != .min else {
            throw ChatTemplateError.evaluation(line: line, message: "a slice cannot have the step \(step)")
        }
        switch object {
        case .list(let items):
            return .list(sliceIndices(items.count, start, stop, step).map { items[$0] })
        case .string(let text):
            let scalars = Array(text.unicodeScalars)
            let chosen = sliceIndices(scalars.count, start, stop, step).map { scalars[$0] }
            return .string(String(String.UnicodeScalarView(chosen)))
        default:
            throw ChatTemplateError.evaluation(line: line, message: "cannot take a slice of \(object.kind)")
        }
    }

    /// Python's rule for `[start:stop:step]`.
    private func sliceIndices(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> [Int] {
        func clamp(_ value: Int, _ lower: Int, _ upper: Int) -> Int {
            max(lower, min(upper, value < 0 ? max(value, -count - 1) + count : value))
        }
        if step > 0 {
            let from = start.map { clamp($0, 0, count) } ?? 0
            let to = stop.map { clamp($0, 0, count) } ?? count
            return from < to ? Array(Swift.stride(from: from, to: to, by: min(step, count))) : []
        }
        let from = start.map { clamp($0, -1, count - 1) } ?? count - 1
        let to = stop.map { clamp($0, -1, count - 1) } ?? -1
        return from > to ? Array(Swift.stride(from: from, to: to, by: max(step, -count))) : []
    }

    /// What a loop runs over.
    func elements(_ value: TemplateValue, _ line: Int) throws -> [TemplateValue] {
        switch value {
        case .list(let items): return items
        case .undefined: return []
        case .string(let text): return text.unicodeScalars.map { .string(String($0)) }
        case .map(let map): return map.keys.map { .string($0) }
        default: throw ChatTemplateError.evaluation(line: line, message: "cannot loop over \(value.kind)")
        }
    }

    // MARK: - Operators

    private func negate(_ value: TemplateValue, _ line: Int) throws -> TemplateValue {
        if let integer = value.integer, integer != .min { return .integer(-integer) }
        if let number = value.number { return .double(-number) }
        throw ChatTemplateError.evaluation(line: line, message: "cannot negate \(value.kind)")
    }

    private mutating func binary(
        _ symbol: String, _ left: TemplateExpression, _ right: TemplateExpression, _ line: Int
    ) throws -> TemplateValue {
        let first = try evaluate(left)
        if symbol == "or" { return first.isTrue ? first : try evaluate(right) }
        if symbol == "and" { return first.isTrue ? try evaluate(right) : first }
        let second = try evaluate(right)
        switch (symbol, first, second) {
        case ("~", _, _): return .string(try joined(first.printed, second.printed, line))
        case ("+", .string(let a), .string(let b)): return .string(try joined(a, b, line))
        case ("+", .list(let a), .list(let b)):
            try step(line, cost: a.count + b.count)
            return .list(a + b)
        case ("*", .string(let text), .integer(let count)):
            let (size, overflow) = text.utf8.count.multipliedReportingOverflow(by: max(0, count))
            try checkLength(overflow ? .max : size, line)
            return .string(String(repeating: text, count: max(0, count)))
        default: return try arithmetic(symbol, first, second, line)
        }
    }

    private func joined(_ left: String, _ right: String, _ line: Int) throws -> String {
        try checkLength(left.utf8.count + right.utf8.count, line)
        return left + right
    }

    private func arithmetic(
        _ symbol: String, _ left: TemplateValue, _ right: TemplateValue, _ line: Int
    ) throws -> TemplateValue {
        guard let a = left.number, let b = right.number else {
            let hint = symbol == "+" ? "; '~' joins anything as text" : ""
            throw ChatTemplateError.evaluation(
                line: line, message: "cannot apply '\(symbol)' to \(left.kind) and \(right.kind)\(hint)")
        }
        if ["/", "//", "%"].contains(symbol), b == 0 {
            throw ChatTemplateError.evaluation(line: line, message: "division by zero")
        }
        if symbol != "/", let x = left.integer, let y = right.integer { return try integers(symbol, x, y, line) }
        switch symbol {
        case "+": return .double(a + b)
        case "-": return .double(a - b)
        case "*": return .double(a * b)
        case "/": return .double(a / b)
        case "//": return .double((a / b).rounded(.down))
        case "%": return .double(a - b * (a / b).rounded(.down))
        default: throw ChatTemplateError.unsupported(line: line, what: "'\(symbol)' between fractions")
        }
    }

    private func integers(_ symbol: String, _ x: Int, _ y: Int, _ line: Int) throws -> TemplateValue {
        var (value, overflow) = (0, false)
        switch symbol {
        case "+": (value, overflow) = x.addingReportingOverflow(y)
        case "-": (value, overflow) = x.subtractingReportingOverflow(y)
        case "*": (value, overflow) = x.multipliedReportingOverflow(by: y)
        case "//", "%":
            let (quotient, tooLarge) = x.dividedReportingOverflow(by: y)
            guard !tooLarge else { break }
            let remainder = x - quotient * y
            let isBelow = remainder != 0 && (remainder < 0) != (y < 0)
            value = symbol == "//" ? quotient - (isBelow ? 1 : 0) : remainder + (isBelow ? y : 0)
        case "**":
            guard y >= 0, y <= 64 else { throw ChatTemplateError.unsupported(line: line, what: "the power \(y)") }
            value = 1
            for _ in 0..<y where !overflow { (value, overflow) = value.multipliedReportingOverflow(by: x) }
        default: throw ChatTemplateError.unsupported(line: line, what: "the operator '\(symbol)'")
        }
        guard !overflow else {
            throw ChatTemplateError.evaluation(line: line, message: "\(x) \(symbol) \(y) is too large")
        }
        return .integer(value)
    }

    private mutating func compare(
        _ first: TemplateExpression, _ chain: [(symbol: String, value: TemplateExpression)], _ line: Int
    ) throws -> Bool {
        var left = try evaluate(first)
        for (symbol, expression) in chain {
            let right = try evaluate(expression)
            guard try holds(symbol, left, right, line) else { return false }
            left = right
        }
        return true
    }

    func holds(_ symbol: String, _ left: TemplateValue, _ right: TemplateValue, _ line: Int) throws -> Bool {
        switch symbol {
        case "==": return left.equals(right)
        case "!=": return !left.equals(right)
        case "in": return try contains(right, left, line)
        case "not in": return !(try contains(right, left, line))
        default:
            let isReversed = symbol == ">" || symbol == "<="
            guard let isBefore = isReversed ? right.precedes(left) : left.precedes(right) else {
                throw ChatTemplateError.evaluation(
                    line: line, message: "cannot compare \(left.kind) and \(right.kind) by '\(symbol)'")
            }
            return symbol == "<" || symbol == ">" ? isBefore : !isBefore
        }
    }

    private func contains(_ whole: TemplateValue, _ part: TemplateValue, _ line: Int) throws -> Bool {
        switch (whole, part) {
        case (.string(let text), .string(let part)): return text.range(ofBytes: part) != nil
        case (.list(let items), _): return items.contains { $0.equals(part) }
        case (.map(let map), .string(let key)): return map[key] != nil
        case (.map, _), (.undefined, _): return false
        case (.namespace(let namespace), .string(let key)): return namespace.values[key] != nil
        default:
            throw ChatTemplateError.evaluation(
                line: line, message: "'in' cannot look for \(part.kind) in \(whole.kind)")
        }
    }
}

extension TemplateValue {
    /// The value of a literal.
    init(_ literal: TemplateLiteral) {
        switch literal {
        case .none: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        }
    }
}
