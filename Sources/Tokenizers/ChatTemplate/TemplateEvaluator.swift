// Runs the statements of a chat template; expressions are in `TemplateEvaluator+Expressions.swift`.

/// One rendering of a template.
struct TemplateEvaluator {
    var output = ""
    var scope: TemplateScope
    private let root: TemplateScope
    let clock: TemplateClock
    private var steps = 0
    private var loops = 0
    private var calls = 0

    /// What ends a loop's body early.
    enum Flow { case normal, stop, next }

    static let maximumSteps = 2_000_000
    static let maximumOutput = 64 << 20
    static let maximumCalls = 50

    init(variables: [String: TemplateValue], clock: TemplateClock) {
        root = TemplateScope(variables)
        scope = root
        self.clock = clock
    }

    /// Counts one piece of work, so that no template runs for ever.
    mutating func step(_ line: Int, cost: Int = 1) throws {
        steps += cost
        guard steps <= Self.maximumSteps else {
            throw ChatTemplateError.tooMuchWork(line: line, limit: "\(Self.maximumSteps) operations")
        }
    }

    /// Checks a text before it is kept.
    func checkLength(_ count: Int, _ line: Int) throws {
        guard count <= Self.maximumOutput else {
            throw ChatTemplateError.tooMuchWork(line: line, limit: "\(Self.maximumOutput >> 20) MiB of text")
        }
    }

    // MARK: - Statements

    @discardableResult
    mutating func run(_ statements: [TemplateStatement]) throws -> Flow {
        for statement in statements {
            let flow = try run(statement)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private mutating func run(_ statement: TemplateStatement) throws -> Flow {
        try step(statement.line)
        switch statement.kind {
        case .text(let text):
            try print(.string(text), statement.line)
        case .output(let expression):
            try print(try evaluate(expression), statement.line)
        case .branch(let cases, let otherwise):
            for (condition, body) in cases where try evaluate(condition).isTrue { return try run(body) }
            return try run(otherwise)
        case .loop(let loop):
            try run(loop, line: statement.line)
        case .set(let target, let expression):
            try assign(try evaluate(expression), to: target, line: statement.line)
        case .capture(let target, let body, let filters):
            let text = try captured(body)
            let value = try apply(filters, to: .string(text), line: statement.line)
            try assign(value, to: target, line: statement.line)
        case .macro(let macro):
            scope.values[macro.name] = .macro(macro)
        case .block(let body, let filters):
            let text = try captured(body)
            try print(try apply(filters, to: .string(text), line: statement.line), statement.line)
        case .stop: return .stop
        case .next: return .next
        }
        return .normal
    }

    private mutating func print(_ value: TemplateValue, _ line: Int) throws {
        let text = value.printed
        try checkLength(output.utf8.count + text.utf8.count, line)
        output += text
    }

    /// What `body` prints, in a scope of its own.
    private mutating func captured(_ body: [TemplateStatement]) throws -> String {
        let saved = output
        let outer = scope
        output = ""
        scope = TemplateScope(parent: outer)
        defer {
            output = saved
            scope = outer
        }
        try run(body)
        return output
    }

    private mutating func apply(
        _ filters: [(name: String, arguments: TemplateArguments)], to value: TemplateValue, line: Int
    ) throws -> TemplateValue {
        var value = value
        for (name, arguments) in filters {
            value = try filter(name, value, try call(arguments, name, line))
        }
        return value
    }

    private mutating func run(_ loop: TemplateLoop, line: Int) throws {
        let outer = scope
        defer { scope = outer }
        var items = try elements(try evaluate(loop.sequence), line)
        if let condition = loop.condition {
            var kept: [TemplateValue] = []
            for item in items {
                scope = TemplateScope(parent: outer)
                try assign(item, to: loop.target, line: line)
                if try evaluate(condition).isTrue { kept.append(item) }
            }
            items = kept
            scope = outer
        }
        guard !items.isEmpty else {
            scope = TemplateScope(parent: outer)
            try run(loop.otherwise)
            return
        }
        loops += 1
        defer { loops -= 1 }
        let state = TemplateLoopState(items, depth: loops)
        for (index, item) in items.enumerated() {
            try step(line)
            state.index = index
            scope = TemplateScope(["loop": .loop(state)], parent: outer)
            try assign(item, to: loop.target, line: line)
            if try run(loop.body) == .stop { break }
        }
    }

    private mutating func assign(_ value: TemplateValue, to target: TemplateTarget, line: Int) throws {
        guard value.isShallow else {
            throw ChatTemplateError.evaluation(line: line, message: "a value nested too deep or too large to keep")
        }
        switch target {
        case .name(let name):
            scope.values[name] = value
        case .attribute(let object, let name):
            guard case .namespace(let namespace)? = scope.lookUp(object) else {
                throw ChatTemplateError.evaluation(
                    line: line, message: "cannot set '\(object).\(name)'; only a namespace() can be changed")
            }
            namespace.values[name] = value
        case .tuple(let names):
            let items = try elements(value, line)
            guard items.count == names.count else {
                throw ChatTemplateError.evaluation(
                    line: line, message: "expected \(names.count) values to unpack, got \(items.count)")
            }
            for (name, item) in zip(names, items) { scope.values[name] = item }
        }
    }

    // MARK: - Macros

    /// Runs a macro, which sees the template's outermost names; its result is what it prints.
    mutating func call(_ macro: TemplateMacro, _ call: TemplateCall) throws -> TemplateValue {
        calls += 1
        defer { calls -= 1 }
        guard calls <= Self.maximumCalls else {
            throw ChatTemplateError.tooMuchWork(line: call.line, limit: "\(Self.maximumCalls) macros inside each other")
        }
        guard call.positional.count <= macro.parameters.count else {
            throw ChatTemplateError.evaluation(
                line: call.line,
                message:
                    "the macro '\(macro.name)' takes \(macro.parameters.count) values, got \(call.positional.count)"
            )
        }
        let (outer, saved) = (scope, output)
        defer { (scope, output) = (outer, saved) }
        let inner = TemplateScope(parent: root)
        scope = inner
        output = ""
        for (index, parameter) in macro.parameters.enumerated() {
            if index < call.positional.count {
                inner.values[parameter.name] = call.positional[index]
            } else if let value = call.named[parameter.name] {
                inner.values[parameter.name] = value
            } else {
                inner.values[parameter.name] =
                    try parameter.standard.map { try evaluate($0) } ?? .undefined(parameter.name)
            }
        }
        try run(macro.body)
        return .string(output)
    }
}
