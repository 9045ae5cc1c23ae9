// Cuts a chat template into text and tokens, with Jinja's rules for white space
// (`trim_blocks` and `lstrip_blocks` on, as transformers sets them).
// After https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control

/// One token of a template and the line on which it starts.
struct TemplateToken: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case text(String)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String), string(String), integer(Int), double(Double)
        case symbol(String)
        case end
    }

    let kind: Kind
    let line: Int
}

/// Cuts a template into tokens.
struct TemplateLexer {
    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [TemplateToken] = []
    /// True after a tag that swallowed its line break: what follows starts a line.
    private var startsLine = true

    private enum Tag { case block, variable, comment }

    private init(_ text: String) {
        var scalars: [Unicode.Scalar] = []
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            defer { previous = scalar }
            if scalar == "\n" && previous == "\r" { continue }
            scalars.append(scalar == "\r" ? "\n" : scalar)
        }
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }

    /// The tokens of `text`, closed by `.end`.
    static func tokens(of text: String) throws -> [TemplateToken] {
        var lexer = TemplateLexer(text)
        try lexer.run()
        return lexer.tokens
    }

    private mutating func run() throws {
        while position < source.count {
            guard let (start, tag) = nextTag(from: position) else {
                emitText(Array(source[position...]))
                advance(to: source.count)
                break
            }
            try take(tag, at: start)
        }
        tokens.append(TemplateToken(kind: .end, line: line))
    }

    private mutating func take(_ tag: Tag, at start: Int) throws {
        let sign = start + 2 < source.count ? source[start + 2] : " "
        var text = Array(source[position..<start])
        if sign == "-" {
            while text.last?.isTemplateSpace == true { text.removeLast() }
        } else if sign != "+" && tag != .variable {
            stripIndentation(&text)
        }
        emitText(text)
        advance(to: start)
        let beginLine = line
        advance(to: start + (sign == "-" || sign == "+" ? 3 : 2))
        switch tag {
        case .comment: try skipComment(from: beginLine)
        case .variable:
            tokens.append(TemplateToken(kind: .variableBegin, line: beginLine))
            try lexCode(closing: "}", end: .variableEnd)
        case .block:
            if try takeRaw(from: beginLine) { return }
            tokens.append(TemplateToken(kind: .blockBegin, line: beginLine))
            try lexCode(closing: "%", end: .blockEnd)
        }
    }

    private func nextTag(from start: Int) -> (Int, Tag)? {
        var index = start
        while index + 1 < source.count {
            if source[index] == "{" {
                switch source[index + 1] {
                case "%": return (index, .block)
                case "{": return (index, .variable)
                case "#": return (index, .comment)
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    /// `lstrip_blocks`: nothing but white space between the line's start and the tag is dropped.
    private func stripIndentation(_ text: inout [Unicode.Scalar]) {
        let lineStart = (text.lastIndex(of: "\n") ?? -1) + 1
        guard lineStart > 0 || startsLine, text[lineStart...].allSatisfy(\.isTemplateSpace) else { return }
        text.removeSubrange(lineStart...)
    }

    private mutating func emitText(_ text: [Unicode.Scalar]) {
        guard !text.isEmpty else { return }
        tokens.append(TemplateToken(kind: .text(String(String.UnicodeScalarView(text))), line: line))
    }

    private mutating func advance(to target: Int) {
        for index in position..<max(position, min(target, source.count)) where source[index] == "\n" { line += 1 }
        position = max(position, min(target, source.count))
    }

    // MARK: - Ends of tags

    /// Consumes `-%}`, `+%}` or `%}` (with the line break that follows a block or comment) when it comes next.
    private mutating func takeEnd(_ closing: Unicode.Scalar) -> Bool {
        var index = position
        var sign: Unicode.Scalar?
        if index < source.count, source[index] == "-" || (source[index] == "+" && closing != "}") {
            sign = source[index]
            index += 1
        }
        guard index + 1 < source.count, source[index] == closing, source[index + 1] == "}" else { return false }
        index += 2
        if sign == "-" {
            while index < source.count, source[index].isTemplateSpace { index += 1 }
        } else if sign == nil && closing != "}" && index < source.count && source[index] == "\n" {
            index += 1
        }
        startsLine = source[index - 1] == "\n"
        advance(to: index)
        return true
    }

    private mutating func skipComment(from beginLine: Int) throws {
        while position < source.count {
            if takeEnd("#") { return }
            advance(to: position + 1)
        }
        throw ChatTemplateError.syntax(line: beginLine, message: "the comment is not closed; expected '#}'")
    }

    /// `{% raw %} … {% endraw %}` is text.
    private mutating func takeRaw(from beginLine: Int) throws -> Bool {
        guard let after = match(word: "raw", at: position) else { return false }
        let (savedPosition, savedLine) = (position, line)
        advance(to: after)
        skipSpace()
        guard takeEnd("%") else {
            (position, line) = (savedPosition, savedLine)
            return false
        }
        var index = position
        while let (start, tag) = nextTag(from: index) {
            index = start + 2
            guard tag == .block else { continue }
            let sign = start + 2 < source.count ? source[start + 2] : " "
            guard let close = match(word: "endraw", at: start + (sign == "-" || sign == "+" ? 3 : 2)) else { continue }
            var text = Array(source[position..<start])
            if sign == "-" { while text.last?.isTemplateSpace == true { text.removeLast() } }
            if sign != "-" && sign != "+" { stripIndentation(&text) }
            emitText(text)
            advance(to: close)
            skipSpace()
            if takeEnd("%") { return true }
        }
        throw ChatTemplateError.syntax(line: beginLine, message: "'raw' is not closed; expected '{% endraw %}'")
    }

    private func match(word: String, at start: Int) -> Int? {
        var index = start
        while index < source.count, source[index].isTemplateSpace { index += 1 }
        for scalar in word.unicodeScalars {
            guard index < source.count, source[index] == scalar else { return nil }
            index += 1
        }
        if index < source.count, source[index].isTemplateNamePart { return nil }
        return index
    }

    private mutating func skipSpace() {
        var index = position
        while index < source.count, source[index].isTemplateSpace { index += 1 }
        advance(to: index)
    }

    // MARK: - Inside tags

    private mutating func lexCode(closing: Unicode.Scalar, end: TemplateToken.Kind) throws {
        let beginLine = line
        var open: [Unicode.Scalar] = []
        while true {
            skipSpace()
            guard position < source.count else {
                throw ChatTemplateError.syntax(
                    line: beginLine, message: "the tag is not closed; expected '\(closing)}'")
            }
            let endLine = line
            if open.isEmpty, takeEnd(closing) {
                tokens.append(TemplateToken(kind: end, line: endLine))
                return
            }
            let token = try lexToken()
            if case .symbol(let symbol) = token.kind { try balance(symbol, &open) }
            tokens.append(token)
        }
    }

    private func balance(_ symbol: String, _ open: inout [Unicode.Scalar]) throws {
        switch symbol {
        case "(": open.append(")")
        case "[": open.append("]")
        case "{": open.append("}")
        case ")", "]", "}":
            guard let expected = open.popLast() else {
                throw ChatTemplateError.syntax(line: line, message: "'\(symbol)' closes nothing")
            }
            guard String(expected) == symbol else {
                throw ChatTemplateError.syntax(line: line, message: "expected '\(expected)', got '\(symbol)'")
            }
        default: break
        }
    }

    private mutating func lexToken() throws -> TemplateToken {
        let (first, start, startLine) = (source[position], position, line)
        if first.isTemplateNameStart {
            var index = start
            while index < source.count, source[index].isTemplateNamePart { index += 1 }
            advance(to: index)
            return TemplateToken(kind: .name(text(start..<index)), line: startLine)
        }
        if first == "'" || first == "\"" { return try lexString(quote: first) }
        if first.isTemplateDigit { return try lexNumber() }
        if start + 1 < source.count {
            let pair = text(start..<start + 2)
            if ["==", "!=", ">=", "<=", "//", "**"].contains(pair) {
                advance(to: start + 2)
                return TemplateToken(kind: .symbol(pair), line: startLine)
            }
        }
        guard "+-/*%~[](){}<>=.:|,".unicodeScalars.contains(first) else {
            throw ChatTemplateError.syntax(line: line, message: "unexpected '\(first)' inside a tag")
        }
        advance(to: start + 1)
        return TemplateToken(kind: .symbol(String(first)), line: startLine)
    }

    private func text(_ range: Range<Int>) -> String {
        String(String.UnicodeScalarView(source[range]))
    }

    private mutating func lexNumber() throws -> TemplateToken {
        let (start, startLine) = (position, line)
        var index = start
        while index < source.count, source[index].isTemplateDigit || source[index] == "_" { index += 1 }
        var isInteger = true
        if index + 1 < source.count, source[index] == ".", source[index + 1].isTemplateDigit {
            isInteger = false
            index += 1
            while index < source.count, source[index].isTemplateDigit || source[index] == "_" { index += 1 }
        }
        advance(to: index)
        let digits = text(start..<index).filter { $0 != "_" }
        if isInteger, let value = Int(digits) { return TemplateToken(kind: .integer(value), line: startLine) }
        if !isInteger, let value = Double(digits) { return TemplateToken(kind: .double(value), line: startLine) }
        throw ChatTemplateError.syntax(line: startLine, message: "the number \(digits) is too large")
    }

    private mutating func lexString(quote: Unicode.Scalar) throws -> TemplateToken {
        let startLine = line
        var index = position + 1
        var result = String.UnicodeScalarView()
        while index < source.count, source[index] != quote {
            if source[index] == "\\" {
                index = appendEscape(at: index + 1, to: &result)
            } else {
                result.append(source[index])
                index += 1
            }
        }
        guard index < source.count else {
            throw ChatTemplateError.syntax(line: startLine, message: "the string is not closed; expected \(quote)")
        }
        advance(to: index + 1)
        return TemplateToken(kind: .string(String(result)), line: startLine)
    }

    /// Appends the escape whose letter is at `index`; the index after it.
    private func appendEscape(at index: Int, to result: inout String.UnicodeScalarView) -> Int {
        guard index < source.count else { return index }
        let simple: [Unicode.Scalar: Unicode.Scalar] = [
            "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "0": "\0",
            "a": "\u{7}", "b": "\u{8}", "f": "\u{C}", "v": "\u{B}",
        ]
        if let scalar = simple[source[index]] {
            result.append(scalar)
            return index + 1
        }
        if source[index] == "\n" { return index + 1 }
        let digits = ["x": 2, "u": 4, "U": 8][source[index]] ?? 0
        if digits > 0, index + digits < source.count,
            let value = UInt32(text(index + 1..<index + 1 + digits), radix: 16), let scalar = Unicode.Scalar(value)
        {
            result.append(scalar)
            return index + 1 + digits
        }
        result.append("\\")
        result.append(source[index])
        return index + 1
    }
}

extension Unicode.Scalar {
    /// White space as Python's `str.isspace` knows it.
    var isTemplateSpace: Bool {
        isASCII
            ? self == " " || (value >= 9 && value <= 13) || (value >= 28 && value <= 31)
            : properties.isWhitespace
    }
    var isTemplateDigit: Bool { value >= 48 && value <= 57 }
    var isTemplateNameStart: Bool { self == "_" || properties.isAlphabetic }
    var isTemplateNamePart: Bool { isTemplateNameStart || isTemplateDigit }
}
