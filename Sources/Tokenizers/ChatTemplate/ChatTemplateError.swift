// What can be wrong with a chat template, or with what it is asked to render.

/// A chat template that cannot be read or rendered; the description is one line.
public enum ChatTemplateError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The template is not well formed.
    case syntax(line: Int, message: String)
    /// The template uses a part of Jinja that chat templates do not use.
    case unsupported(line: Int, what: String)
    /// The template is well formed, but a value does not fit.
    case evaluation(line: Int, message: String)
    /// The template itself refused the conversation (`raise_exception`).
    case refused(String)
    /// The template did more work than a chat template ever needs.
    case tooMuchWork(line: Int, limit: String)

    public var description: String { message.replacingLineBreaks }

    private var message: String {
        switch self {
        case .syntax(let line, let message):
            "chat template, line \(line): \(message)"
        case .unsupported(let line, let what):
            "chat template, line \(line): \(what) is not supported; simplify the template or give another one"
        case .evaluation(let line, let message):
            "chat template, line \(line): \(message)"
        case .refused(let message):
            "the model's chat template refuses this conversation: \(message)"
        case .tooMuchWork(let line, let limit):
            "chat template, line \(line): stopped after \(limit); does the template loop without end?"
        }
    }
}

extension String {
    /// The same text on one line.
    var replacingLineBreaks: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\n" || $0 == "\r" ? " " : $0 }))
    }
}
