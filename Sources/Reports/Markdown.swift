// Text as GitHub-flavoured Markdown that shows it as it is, whatever it contains.
// Rules: https://github.github.com/gfm/ ; `$` is an entity because GitHub reads pairs of it as mathematics.

import Foundation

/// Writes Markdown.
enum Markdown {
    /// A column of a table: its heading, and whether it holds numbers.
    struct Column {
        var heading: String
        var isNumber = false
    }

    /// Text on one line in which nothing is markup.
    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "$": result += "&#36;"
            case "\\", "`", "*", "_", "[", "]", "|", "~", "#": result += "\\\(scalar)"
            case "\n", "\r", "\t": result += " "
            case _ where scalar.value < 32 || scalar.value == 127: result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Text of several lines in the cell of a table: lines and the spaces before them are kept.
    static func cell(_ text: String) -> String {
        lines(text).map { line in
            let content = line.drop { $0 == " " || $0 == "\t" }
            let indent = line.prefix(line.count - content.count).reduce(0) { $0 + ($1 == "\t" ? 4 : 1) }
            return String(repeating: "&nbsp;", count: min(40, indent)) + escaped(String(content))
        }.joined(separator: "<br>")
    }

    /// A code span, also inside a table.
    static func code(_ text: String) -> String {
        let line = lines(text).joined(separator: " ").replacingOccurrences(of: "|", with: "\\|")
        guard !line.isEmpty else { return "" }
        let fence = String(repeating: "`", count: longestRun(of: "`", in: line) + 1)
        let space = line.hasPrefix("`") || line.hasSuffix("`") ? " " : ""
        return fence + space + line + space + fence
    }

    /// A block of code, to be copied.
    static func block(_ text: String, _ kind: String = "") -> String {
        let fence = String(repeating: "`", count: max(3, longestRun(of: "`", in: text) + 1))
        return "\(fence)\(kind)\n\(lines(text).joined(separator: "\n"))\n\(fence)"
    }

    /// A table. The cells are Markdown already.
    static func table(_ columns: [Column], _ rows: [[String]]) -> String {
        let rule = columns.map { $0.isNumber ? "---:" : "---" }
        return ([columns.map(\.heading), rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
            .joined(separator: "\n")
    }

    /// A Python string literal.
    static func python(_ text: String) -> String {
        let escaped = text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
        return "\"" + lines(escaped).joined(separator: "\\n") + "\""
    }

    /// The lines of a text, whatever ends them.
    static func lines(_ text: String) -> [String] {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
    }

    private static func longestRun(of mark: Character, in text: String) -> Int {
        var (longest, run) = (0, 0)
        for character in text {
            run = character == mark ? run + 1 : 0
            longest = max(longest, run)
        }
        return longest
    }
}
