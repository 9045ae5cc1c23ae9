// Reads the expressions of a chat template, from the loosest operator to the tightest.

extension TemplateParser {
    /// An expression, or several with commas between them, which make a list.
    mutating func tupleOrExpression(allowsCondition: Bool = true) throws -> TemplateExpression {
        let line = token.line
        let first = try allowsCondition ? expression() : disjunction()
        guard isSymbol(",") else { return first }
        var items = [first]
        while take(symbol: ",") {
            if endsExpression { break }
            items.append(try allowsCondition ? expression() : disjunction())
        }
        return TemplateExpression(kind: .list(items), line: line)
    }

    private var endsExpression: Bool {
        switch token.kind {
        case .blockEnd, .variableEnd, .end, .symbol(")"), .symbol("="): true
        default: false
        }
    }

    /// `a if condition else b`, and everything tighter.
    mutating func expression() throws -> TemplateExpression {
        if expressionDepth == 0 { operators = 0 }
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        return try nested { parser in
            let line = parser.token.line
            var value = try parser.disjunction()
            while parser.take(name: "if") {
                try parser.link()
                let condition = try parser.disjunction()
                let otherwise = parser.take(name: "else") ? try parser.expression() : nil
                value = TemplateExpression(kind: .condition(condition, then: value, otherwise: otherwise), line: line)
            }
            return value
        }
    }

    private mutating func disjunction() throws -> TemplateExpression {
        var left = try conjunction()
        while isName("or") {
            let line = token.line
            advance()
            try link()
            left = TemplateExpression(kind: .binary("or", left, try conjunction()), line: line)
        }
        return left
    }

    private mutating func conjunction() throws -> TemplateExpression {
        var left = try negation()
        while isName("and") {
            let line = token.line
            advance()
            try link()
            left = TemplateExpression(kind: .binary("and", left, try negation()), line: line)
        }
        return left
    }

    private mutating func negation() throws -> TemplateExpression {
        let line = token.line
        guard take(name: "not") else { return try comparison() }
        return try nested { parser in TemplateExpression(kind: .not(try parser.negation()), line: line) }
    }

    private mutating func comparison() throws -> TemplateExpression {
        let line = token.line
        let left = try sum()
        var chain: [(symbol: String, value: TemplateExpression)] = []
        while true {
            if case .symbol(let symbol) = token.kind, ["==", "!=", "<", "<=", ">", ">="].contains(symbol) {
                advance()
                chain.append((symbol, try sum()))
            } else if take(name: "in") {
                chain.append(("in", try sum()))
            } else if isName("not"), next.kind == .name("in") {
                advance()
                advance()
                chain.append(("not in", try sum()))
            } else {
                break
            }
        }
        return chain.isEmpty ? left : TemplateExpression(kind: .compare(left, chain), line: line)
    }

    private mutating func sum() throws -> TemplateExpression {
        try leftAssociative(["+", "-"]) { try $0.concatenation() }
    }

    private mutating func concatenation() throws -> TemplateExpression {
        try leftAssociative(["~"]) { try $0.product() }
    }

    private mutating func product() throws -> TemplateExpression {
        try leftAssociative(["*", "/", "//", "%"]) { try $0.power() }
    }

    private mutating func power() throws -> TemplateExpression {
        try leftAssociative(["**"]) { try $0.unary() }
    }

    private mutating func leftAssociative(
        _ symbols: [String], _ operand: (inout Self) throws -> TemplateExpression
    ) throws -> TemplateExpression {
        var left = try operand(&self)
        while case .symbol(let symbol) = token.kind, symbols.contains(symbol) {
            let line = token.line
            advance()
            try link()
            left = TemplateExpression(kind: .binary(symbol, left, try operand(&self)), line: line)
        }
        return left
    }

    private mutating func unary(allowsFilter: Bool = true) throws -> TemplateExpression {
        let line = token.line
        var value: TemplateExpression
        if take(symbol: "-") {
            value = try nested { TemplateExpression(kind: .negative(try $0.unary(allowsFilter: false)), line: line) }
        } else if take(symbol: "+") {
            value = try nested { try $0.unary(allowsFilter: false) }
        } else {
            value = try postfix(try primary())
        }
        return allowsFilter ? try filters(value) : value
    }

    /// Counts the operators of an expression, each of which may nest the tree one level deeper.
    private mutating func link() throws {
        operators += 1
        guard operators <= Self.maximumOperators else {
            throw ChatTemplateError.syntax(
                line: token.line, message: "more than \(Self.maximumOperators) operators in an expression")
        }
    }

    // MARK: - Primaries

    private mutating func primary() throws -> TemplateExpression {
        let start = token
        func literal(_ value: TemplateLiteral) -> TemplateExpression {
            TemplateExpression(kind: .literal(value), line: start.line)
        }
        switch start.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return literal(.bool(true))
            case "false", "False": return literal(.bool(false))
            case "none", "None": return literal(.none)
            default: return TemplateExpression(kind: .name(name), line: start.line)
            }
        case .string(var text):
            advance()
            while case .string(let more) = token.kind {
                text += more
                advance()
            }
            return literal(.string(text))
        case .integer(let value):
            advance()
            return literal(.integer(value))
        case .double(let value):
            advance()
            return literal(.double(value))
        case .symbol("("):
            advance()
            return try parenthesised(line: start.line)
        case .symbol("["):
            advance()
            return TemplateExpression(kind: .list(try items(until: "]")), line: start.line)
        case .symbol("{"):
            advance()
            return try map(line: start.line)
        default:
            throw unexpected(expected: "an expression")
        }
    }

    private mutating func parenthesised(line: Int) throws -> TemplateExpression {
        if take(symbol: ")") { return TemplateExpression(kind: .list([]), line: line) }
        let value = try tupleOrExpression()
        try expect(symbol: ")")
        return value
    }

    private mutating func items(until close: String) throws -> [TemplateExpression] {
        var items: [TemplateExpression] = []
        while !isSymbol(close) {
            items.append(try expression())
            if !take(symbol: ",") { break }
        }
        try expect(symbol: close)
        return items
    }

    private mutating func map(line: Int) throws -> TemplateExpression {
        var pairs: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !isSymbol("}") {
            let key = try expression()
            try expect(symbol: ":")
            pairs.append((key, try expression()))
            if !take(symbol: ",") { break }
        }
        try expect(symbol: "}")
        return TemplateExpression(kind: .map(pairs), line: line)
    }

    // MARK: - What follows a primary

    private mutating func postfix(_ start: TemplateExpression) throws -> TemplateExpression {
        var value = start
        while true {
            let line = token.line
            try link()
            if take(symbol: ".") {
                if case .integer(let index) = token.kind {
                    advance()
                    let item = TemplateExpression(kind: .literal(.integer(index)), line: line)
                    value = TemplateExpression(kind: .item(value, item), line: line)
                } else {
                    value = TemplateExpression(kind: .attribute(value, try expectName("an attribute")), line: line)
                }
            } else if take(symbol: "[") {
                value = try subscripted(value, line: line)
            } else if take(symbol: "(") {
                value = TemplateExpression(kind: .call(value, try arguments()), line: line)
            } else {
                return value
            }
        }
    }

    private mutating func subscripted(_ value: TemplateExpression, line: Int) throws -> TemplateExpression {
        var parts: [TemplateExpression?] = [nil]
        var isSlice = false
        while !isSymbol("]") {
            if take(symbol: ":") {
                isSlice = true
                parts.append(nil)
            } else {
                guard parts[parts.count - 1] == nil else { throw unexpected(expected: "']'") }
                parts[parts.count - 1] = try expression()
            }
        }
        try expect(symbol: "]")
        if isSlice {
            guard parts.count <= 3 else { throw unexpected(expected: "at most start:stop:step in a slice") }
            let slice = TemplateSlice(start: parts[0], stop: parts[1], step: parts.count > 2 ? parts[2] : nil)
            return TemplateExpression(kind: .slice(value, slice), line: line)
        }
        guard let index = parts[0] else { throw unexpected(expected: "an index") }
        return TemplateExpression(kind: .item(value, index), line: line)
    }

    private mutating func arguments() throws -> TemplateArguments {
        var arguments = TemplateArguments()
        while !isSymbol(")") {
            if case .name(let name) = token.kind, next.kind == .symbol("=") {
                advance()
                advance()
                arguments.named.append((name, try expression()))
            } else if isSymbol("*") || isSymbol("**") {
                throw ChatTemplateError.unsupported(line: token.line, what: "'*' in a call")
            } else {
                arguments.positional.append(try expression())
            }
            if !take(symbol: ",") { break }
        }
        try expect(symbol: ")")
        return arguments
    }

    /// `| filter`, `is test` and calls of what they give.
    private mutating func filters(_ start: TemplateExpression) throws -> TemplateExpression {
        var value = start
        while true {
            let line = token.line
            try link()
            if take(symbol: "|") {
                let (name, arguments) = try filterName()
                value = TemplateExpression(kind: .filter(value, name, arguments), line: line)
            } else if take(name: "is") {
                value = try test(value, line: line)
            } else if take(symbol: "(") {
                value = TemplateExpression(kind: .call(value, try arguments()), line: line)
            } else {
                return value
            }
        }
    }

    mutating func filterName() throws -> (String, TemplateArguments) {
        let name = try expectName("a filter")
        return (name, take(symbol: "(") ? try arguments() : TemplateArguments())
    }

    private mutating func test(_ value: TemplateExpression, line: Int) throws -> TemplateExpression {
        let isNegated = take(name: "not")
        let name = try expectName("a test")
        var arguments = TemplateArguments()
        if take(symbol: "(") {
            arguments = try self.arguments()
        } else if startsTestArgument {
            arguments.positional = [try postfix(try primary())]
        }
        let test = TemplateExpression(kind: .test(value, name, arguments), line: line)
        return isNegated ? TemplateExpression(kind: .not(test), line: line) : test
    }

    private var startsTestArgument: Bool {
        switch token.kind {
        case .name(let name): !["else", "or", "and", "if", "is", "not", "in"].contains(name)
        case .string, .integer, .double, .symbol("["), .symbol("{"): true
        default: false
        }
    }
}
