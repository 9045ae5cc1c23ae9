// Renders a conversation with a model's chat template, a program in the Jinja language.
// The same environment as
// https://github.com/huggingface/transformers/blob/main/src/transformers/utils/chat_template_utils.py

/// A model's chat template.
public struct ChatTemplate: Sendable {
    /// The template as the model's files have it.
    public let source: String
    /// The moment that the template sees as now.
    public var clock: TemplateClock
    private let statements: [TemplateStatement]

    /// The longest template that is read, in bytes.
    static let maximumSource = 1 << 20

    /// Reads a template; anything that chat templates do not use is refused by name.
    public init(_ source: String) throws {
        guard source.utf8.count <= Self.maximumSource else {
            throw ChatTemplateError.syntax(
                line: 1, message: "\(source.utf8.count) bytes; expected at most \(Self.maximumSource)")
        }
        self.source = source
        clock = .standard
        statements = try TemplateParser.parse(source)
    }

    /// True when the template may write the date, so that its output depends on the clock.
    public var readsClock: Bool { source.contains("strftime_now") }

    /// The conversation as text; `variables` are further names, as `bos_token` and `eos_token`.
    public func render(
        _ messages: [ChatMessage], addGenerationPrompt: Bool, variables: [String: String] = [:]
    ) throws -> String {
        var values: [String: TemplateValue] = ["tools": .none, "documents": .none]
        for (name, text) in variables { values[name] = .string(text) }
        values["add_generation_prompt"] = .bool(addGenerationPrompt)
        values["messages"] = .list(
            messages.map { message in
                .map(TemplateMap([("role", .string(message.role)), ("content", .string(message.content))]))
            })
        var evaluator = TemplateEvaluator(variables: values, clock: clock)
        try evaluator.run(statements)
        return evaluator.output
    }
}
