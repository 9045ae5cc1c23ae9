// What is wrong with a configuration: every problem at once, each on one line.

/// Where a value stands in a file, both counted from 1; columns count Unicode scalars.
public struct Position: Sendable, Equatable, Comparable {
    /// The line, from 1.
    public var line: Int
    /// The Unicode scalar in the line, from 1.
    public var column: Int

    /// By line, then by column.
    public static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// One thing that is wrong with a configuration.
public struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
    /// The file as the user named it, or `command line`.
    public var source: String
    /// Absent where the problem is with the file as a whole.
    public var position: Position?
    /// What was expected, what was found, what to do; one line.
    public var message: String

    /// `config.yaml:12:3: …`.
    public var description: String {
        guard let position else { return "\(source): \(message)" }
        return "\(source):\(position.line):\(position.column): \(message)"
    }
}

/// Everything that is wrong with a configuration, in the order of its lines; the program ends with status 2.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one, those of the file first, by line.
    public var problems: [ConfigurationProblem]

    init(_ problems: [ConfigurationProblem]) {
        self.problems = problems.enumerated().sorted { a, b in
            (a.element.order, a.offset) < (b.element.order, b.offset)
        }.map(\.element)
    }

    init(_ source: String, _ position: Position? = nil, _ message: String) {
        problems = [ConfigurationProblem(source: source, position: position, message: message)]
    }

    /// One problem a line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

extension ConfigurationProblem {
    static let commandLine = "command line"

    /// Problems of the file by line, then those of the file as a whole, then the command line's.
    fileprivate var order: Position {
        if source == Self.commandLine { return Position(line: .max, column: .max) }
        return position ?? Position(line: .max, column: 0)
    }
}
