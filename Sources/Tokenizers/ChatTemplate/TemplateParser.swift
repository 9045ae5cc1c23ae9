// Reads the statements of a chat template into a syntax tree.
// Follows the grammar of https://github.com/pallets/jinja/blob/main/src/jinja2/parser.py

/// Reads a template; expressions are in `TemplateParser+Expressions.swift`.
struct TemplateParser {
    let tokens: [TemplateToken]
    var position = 0
    var depth = 0

    /// Brackets and blocks around the place being read.
    var expressionDepth = 0
    /// Operators of the expression being read, those in its brackets included.
    var operators = 0

    /// Deeper nesting than this is refused, so that no template can exhaust the stack.
    static let maximumDepth = 100
    /// Expressions such as `a + b + c …` with more operators are refused for the same reason.
    static let maximumOperators = 400

    /// The statements of `source`.
    static func parse(_ source: String) throws -> [TemplateStatement] {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source))
        let (statements, _) = try parser.statements(until: [], opener: "")
        return statements
    }

    // MARK: - Tokens

    var token: TemplateToken { tokens[min(position, tokens.count - 1)] }
    var next: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }

    mutating func advance() { position += 1 }

    func isSymbol(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }
    func isName(_ name: String) -> Bool { token.kind == .name(name) }

    mutating func take(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func take(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(symbol: String) throws {
        guard take(symbol: symbol) else { throw unexpected(expected: "'\(symbol)'") }
    }

    mutating func expectName(_ what: String) throws -> String {
        guard case .name(let name) = token.kind else { throw unexpected(expected: what) }
        advance()
        return name
    }

    mutating func expectBlockEnd() throws {
        guard token.kind == .blockEnd else { throw unexpected(expected: "'%}'") }
        advance()
    }

    func unexpected(expected: String) -> ChatTemplateError {
        .syntax(line: token.line, message: "expected \(expected), got \(token.kind.spoken)")
    }

    mutating func nested<R>(_ body: (inout Self) throws -> R) throws -> R {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw ChatTemplateError.syntax(
                line: token.line, message: "nested more than \(Self.maximumDepth) levels deep")
        }
        return try body(&self)
    }

    // MARK: - Statements

    /// Statements up to one of the tags in `ends`, whose name (already consumed) is returned with them.
    mutating func statements(until ends: [String], opener: String) throws -> ([TemplateStatement], String) {
        try nested { parser in try parser.statementList(until: ends, opener: opener) }
    }

    private mutating func statementList(until ends: [String], opener: String) throws -> ([TemplateStatement], String) {
        let start = token.line
        var result: [TemplateStatement] = []
        while true {
            let line = token.line
            switch token.kind {
            case .end:
                guard ends.isEmpty else {
                    throw ChatTemplateError.syntax(
                        line: start, message: "'\(opener)' is not closed; expected '{% \(ends.last ?? "") %}'")
                }
                return (result, "")
            case .text(let text):
                advance()
                result.append(TemplateStatement(kind: .text(text), line: line))
            case .variableBegin:
                advance()
                let expression = try tupleOrExpression()
                guard token.kind == .variableEnd else { throw unexpected(expected: "'}}'") }
                advance()
                result.append(TemplateStatement(kind: .output(expression), line: line))
            default:
                advance()
                let name = try expectName("the name of a statement")
                if ends.contains(name) { return (result, name) }
                result.append(TemplateStatement(kind: try statement(name, line: line), line: line))
            }
        }
    }

    private mutating func statement(_ name: String, line: Int) throws -> TemplateStatement.Kind {
        switch name {
        case "if": return try branch()
        case "for": return try loop(line: line)
        case "set": return try assignment()
        case "macro": return try macro()
        case "generation":
            try expectBlockEnd()
            return .block(try body(until: "endgeneration", opener: name), filters: [])
        case "filter":
            let filters = try filterChain()
            try expectBlockEnd()
            return .block(try body(until: "endfilter", opener: name), filters: filters)
        case "break", "continue":
            try expectBlockEnd()
            return name == "break" ? .stop : .next
        case let name where name.hasPrefix("end") || name == "else" || name == "elif":
            throw ChatTemplateError.syntax(line: line, message: "'\(name)' without a statement that it belongs to")
        default:
            throw ChatTemplateError.unsupported(line: line, what: "the statement '\(name)'")
        }
    }

    /// A body whose closing tag carries nothing.
    private mutating func body(until end: String, opener: String) throws -> [TemplateStatement] {
        let (statements, _) = try statements(until: [end], opener: opener)
        if end == "endmacro", case .name = token.kind { advance() }
        try expectBlockEnd()
        return statements
    }

    private mutating func branch() throws -> TemplateStatement.Kind {
        var cases: [(condition: TemplateExpression, body: [TemplateStatement])] = []
        while true {
            let condition = try expression()
            try expectBlockEnd()
            let (body, end) = try statements(until: ["elif", "else", "endif"], opener: "if")
            cases.append((condition, body))
            if end == "elif" { continue }
            try expectBlockEnd(after: end)
            let otherwise = end == "else" ? try self.body(until: "endif", opener: "else") : []
            return .branch(cases, otherwise: otherwise)
        }
    }

    private mutating func expectBlockEnd(after end: String) throws {
        guard token.kind == .blockEnd else { throw unexpected(expected: "'%}' after '\(end)'") }
        advance()
    }

    private mutating func loop(line: Int) throws -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: false)
        guard take(name: "in") else { throw unexpected(expected: "'in'") }
        let sequence = try tupleOrExpression(allowsCondition: false)
        let condition = take(name: "if") ? try expression() : nil
        if isName("recursive") {
            throw ChatTemplateError.unsupported(line: line, what: "a recursive loop")
        }
        try expectBlockEnd()
        let (body, end) = try statements(until: ["else", "endfor"], opener: "for")
        try expectBlockEnd(after: end)
        let otherwise = end == "else" ? try self.body(until: "endfor", opener: "else") : []
        return .loop(
            TemplateLoop(
                target: target, sequence: sequence, condition: condition, body: body, otherwise: otherwise))
    }

    private mutating func assignment() throws -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: true)
        if take(symbol: "=") {
            let value = try tupleOrExpression()
            try expectBlockEnd()
            return .set(target, value)
        }
        var filters: [(name: String, arguments: TemplateArguments)] = []
        if take(symbol: "|") { filters = try filterChain() }
        try expectBlockEnd()
        return .capture(target, try body(until: "endset", opener: "set"), filters: filters)
    }

    private mutating func target(allowsAttribute: Bool) throws -> TemplateTarget {
        let isParenthesised = take(symbol: "(")
        let first = try expectName("a name")
        if allowsAttribute, take(symbol: ".") {
            return .attribute(object: first, name: try expectName("an attribute"))
        }
        var names = [first]
        while take(symbol: ",") {
            guard case .name = token.kind else { break }
            names.append(try expectName("a name"))
        }
        if isParenthesised { try expect(symbol: ")") }
        return names.count == 1 ? .name(first) : .tuple(names)
    }

    private mutating func macro() throws -> TemplateStatement.Kind {
        let name = try expectName("the macro's name")
        try expect(symbol: "(")
        var parameters: [(name: String, standard: TemplateExpression?)] = []
        while !isSymbol(")") {
            let parameter = try expectName("a parameter")
            parameters.append((parameter, take(symbol: "=") ? try expression() : nil))
            if !take(symbol: ",") { break }
        }
        try expect(symbol: ")")
        try expectBlockEnd()
        let body = try body(until: "endmacro", opener: "macro")
        return .macro(TemplateMacro(name: name, parameters: parameters, body: body))
    }

    private mutating func filterChain() throws -> [(name: String, arguments: TemplateArguments)] {
        var filters: [(name: String, arguments: TemplateArguments)] = []
        repeat {
            let (name, arguments) = try filterName()
            filters.append((name, arguments))
        } while take(symbol: "|")
        return filters
    }
}

extension TemplateToken.Kind {
    /// The token as an error message shows it.
    var spoken: String {
        switch self {
        case .text: "text"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .name(let name): "'\(name)'"
        case .string(let text): "the string '\(text.prefix(40).description.replacingLineBreaks)'"
        case .integer(let value): "\(value)"
        case .double(let value): "\(value)"
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end of the template"
        }
    }
}
