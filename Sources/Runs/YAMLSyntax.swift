// What to do about text that is not YAML: the parser's own words, its place, and the usual cause.

import Foundation
import Yams

enum YAMLSyntax {
    /// A syntax error of Yams as a configuration error.
    static func error(_ error: any Error, source: String, lines: [String]) -> ConfigurationError {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            let position = Position(line: max(1, mark.line), column: max(1, mark.column))
            let line = position.line <= lines.count ? lines[position.line - 1] : ""
            let message = "not valid YAML: \(problem); \(advice(problem, line: line))"
            return ConfigurationError(source, position, message)
        case YamlError.reader(let problem, let offset, _, let yaml):
            let position = offset.map { place(of: $0, in: yaml) }
            return ConfigurationError(source, position, "not valid YAML: \(problem); save the file as plain UTF-8 text")
        default:
            return ConfigurationError(source, nil, "not valid YAML: \(oneLine("\(error)")); check the file")
        }
    }

    private static func advice(_ problem: String, line: String) -> String {
        if line.prefix(while: \.isWhitespace).contains("\t") || problem.contains("tab") {
            return "a tab stands at the start of the line: indent with spaces"
        }
        if problem.contains("mapping values are not allowed") {
            return "one 'key: value' a line, keys of one level in one column, quotes around text with ': '"
        }
        if problem.contains("could not find expected ':'") {
            return "write 'key: value', with a space after the colon"
        }
        if problem.contains("another document") { return "remove the second '---'" }
        if problem.contains("undefined alias") { return "put quotes around text that starts with '*'" }
        if problem.contains("cannot start any token") { return "put quotes around text that starts with @, ` or %" }
        if problem.contains("end of stream") { return "close every quote and bracket" }
        return "check the indentation, quotes and brackets around this place"
    }

    private static func place(of offset: Int, in text: String) -> Position {
        let before = text.prefix(offset)
        let line = before.reduce(1) { $0 + ($1.isNewline ? 1 : 0) }
        let column = before.reversed().prefix { !$0.isNewline }.count + 1
        return Position(line: line, column: column)
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
