// One key of the configuration file: which property it fills, what it accepts, and what is said about it.

/// Numbers that make sense for a setting, and how to say so.
struct NumberRange: Sendable {
    let words: String
    let contains: @Sendable (Double) -> Bool

    static let any = NumberRange(words: "") { _ in true }
    static let positive = NumberRange(words: " above 0") { $0 > 0 && $0.isFinite }
    static let notNegative = NumberRange(words: " of at least 0") { $0 >= 0 && $0.isFinite }
    static let share = NumberRange(words: " from 0 to below 1") { $0 >= 0 && $0 < 1 }

    static func from(_ lowest: Int, to highest: Int) -> NumberRange {
        NumberRange(words: " from \(lowest) to \(highest)") { $0 >= Double(lowest) && $0 <= Double(highest) }
    }

    static func atLeast(_ lowest: Int) -> NumberRange {
        NumberRange(words: " of at least \(lowest)") { $0 >= Double(lowest) && $0.isFinite }
    }
}

/// One key of the configuration file.
struct Setting: Sendable {
    /// As in the file; `samples.prompts` for `prompts` in the group `samples`.
    let key: String
    /// One line on what it does, written beside it.
    let about: String
    /// A value that would do.
    let example: String
    /// What is expected, as in `expected a whole number of at least 1`.
    let expected: String
    /// Words of which one may have been meant.
    let choices: [String]
    /// The only task that knows this key, or nil.
    private(set) var onlyTask: TaskType?
    /// Whether it changes the trained adapter, so that a run with another value is another run.
    private(set) var shapesResult = true
    /// Whether the value is text that the command line gives as it is.
    private(set) var isText = false
    /// Whether the value names a file or folder that must exist.
    private(set) var isPath = false
    /// Fills the property; false where the value is of another kind.
    let read: @Sendable (LocatedValue, inout Configuration) -> Bool
    /// Copies the property from the first configuration to the second.
    let restore: @Sendable (Configuration, inout Configuration) -> Void
    /// The property's value as YAML, or nil where it has none.
    let written: @Sendable (Configuration) -> String?

    init<Value: SettingValue>(
        _ key: String, _ path: WritableKeyPath<Configuration, Value> & Sendable, _ range: NumberRange = .any,
        example: String, _ about: String
    ) {
        (self.key, self.about, self.example) = (key, about, example)
        expected = Value.noun + range.words
        choices = (Value.self as? any SettingChoice.Type)?.words ?? []
        isText = Value.self == String.self || Value.self == String?.self
        read = { value, configuration in
            guard let new = Value.read(value) else { return false }
            if let number = new.number, !range.contains(number) { return false }
            configuration[keyPath: path] = new
            return true
        }
        restore = { $1[keyPath: path] = $0[keyPath: path] }
        written = { $0[keyPath: path].written }
    }

    /// The same, known to one task only.
    func only(_ task: TaskType) -> Setting { with { $0.onlyTask = task } }

    /// The same, without effect on the trained adapter.
    var besideResult: Setting { with { $0.shapesResult = false } }

    /// The same, for a file or folder that must exist. Its contents count for the result, not its name.
    var existingPath: Setting { with { ($0.isPath, $0.shapesResult) = (true, false) } }

    private func with(_ change: (inout Setting) -> Void) -> Setting {
        var copy = self
        change(&copy)
        return copy
    }
}

extension SettingChoice {
    fileprivate static var words: [String] { allCases.map(\.rawValue) }
}
