// The syntax tree of a chat template.

/// A literal of a template.
enum TemplateLiteral: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case string(String)
}

/// An expression and the line on which it starts.
struct TemplateExpression: Sendable {
    indirect enum Kind: Sendable {
        case literal(TemplateLiteral)
        case name(String)
        case list([TemplateExpression])
        case map([(key: TemplateExpression, value: TemplateExpression)])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, TemplateSlice)
        case call(TemplateExpression, TemplateArguments)
        case filter(TemplateExpression, String, TemplateArguments)
        case test(TemplateExpression, String, TemplateArguments)
        case not(TemplateExpression)
        case negative(TemplateExpression)
        case binary(String, TemplateExpression, TemplateExpression)
        case compare(TemplateExpression, [(symbol: String, value: TemplateExpression)])
        case condition(TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    }

    let kind: Kind
    let line: Int
}

/// `[start:stop:step]`.
struct TemplateSlice: Sendable {
    var start, stop, step: TemplateExpression?
}

/// What stands between the parentheses of a call.
struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
}

/// What an assignment or a loop binds.
enum TemplateTarget: Sendable {
    case name(String)
    case attribute(object: String, name: String)
    case tuple([String])
}

/// A statement and the line on which it starts.
struct TemplateStatement: Sendable {
    indirect enum Kind: Sendable {
        case text(String)
        case output(TemplateExpression)
        case branch([(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
        case loop(TemplateLoop)
        case set(TemplateTarget, TemplateExpression)
        case capture(TemplateTarget, [TemplateStatement], filters: [(name: String, arguments: TemplateArguments)])
        case macro(TemplateMacro)
        /// `{% generation %}` and `{% filter %}`: a body in a scope of its own.
        case block([TemplateStatement], filters: [(name: String, arguments: TemplateArguments)])
        case stop, next
    }

    let kind: Kind
    let line: Int
}

/// `{% for target in sequence if condition %}`.
struct TemplateLoop: Sendable {
    let target: TemplateTarget
    let sequence: TemplateExpression
    let condition: TemplateExpression?
    let body, otherwise: [TemplateStatement]
}

/// `{% macro name(parameters) %}`.
struct TemplateMacro: Sendable {
    let name: String
    let parameters: [(name: String, standard: TemplateExpression?)]
    let body: [TemplateStatement]
}
