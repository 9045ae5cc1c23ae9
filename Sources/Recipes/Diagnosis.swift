// `lora doctor`: what is right and wrong with this machine, and with a configuration, its model and its data.

import Foundation

/// What is right and wrong with this machine, and with a configuration where one is given.
public struct Diagnosis {
    /// One thing that was looked at.
    struct Finding: Encodable {
        enum Level: String, Encodable { case ok, warning, problem }
        let level: Level
        /// What was looked at.
        let what: String
        let finding: String
        /// What to do; absent where nothing is wrong or the finding says it.
        let remedy: String?
    }

    private(set) var findings: [Finding] = []
    /// One sample with its trained tokens marked.
    var sampleTable: String?

    /// Looks at the machine, and at a configuration and everything it names.
    public init(configurationFile: String?) {
        checkMachine()
        if let configurationFile { check(configurationFile) } else { checkPlaces(["models", "."]) }
    }

    /// Whether nothing stands in the way of training.
    public var isHealthy: Bool { !findings.contains { $0.level == .problem } }

    // MARK: - Gathering

    mutating func ok(_ what: String, _ finding: String) { add(.ok, what, finding, nil) }

    mutating func warn(_ what: String, _ finding: String, _ remedy: String? = nil) {
        add(.warning, what, finding, remedy)
    }

    mutating func fail(_ what: String, _ finding: String, _ remedy: String? = nil) {
        add(.problem, what, finding, remedy)
    }

    /// Gives what `body` finds, or puts down why it could not.
    mutating func attempt<R>(_ what: String, _ body: () throws -> R) -> R? {
        do { return try body() } catch {
            fail(what, "\(error)")
            return nil
        }
    }

    private mutating func add(_ level: Finding.Level, _ what: String, _ finding: String, _ remedy: String?) {
        findings.append(Finding(level: level, what: what, finding: finding, remedy: remedy))
    }

    // MARK: - Telling

    /// One line for each finding, and one sample token by token.
    public var text: String {
        var lines = findings.map { finding in
            let remedy = finding.remedy.map { "; \($0)" } ?? ""
            return PlanText.pad(finding.level.rawValue, 9) + "\(finding.what): \(finding.finding)\(remedy)"
        }
        if let sampleTable { lines += ["", sampleTable.trimmingCharacters(in: .newlines)] }
        let counts = [Finding.Level.problem, .warning].map { level in findings.filter { $0.level == level }.count }
        let words = ["problem", "warning"]
        let told = zip(counts, words).map { "\($0) \($1)\($0 == 1 ? "" : "s")" }.joined(separator: ", ")
        return (lines + ["", told]).joined(separator: "\n")
    }

    /// The findings as JSON with keys in snake_case.
    public var json: String {
        get throws {
            struct Document: Encodable {
                let healthy: Bool
                let findings: [Finding]
                let sampleTable: String?
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            let document = Document(healthy: isHealthy, findings: findings, sampleTable: sampleTable)
            return String(decoding: try encoder.encode(document), as: UTF8.self)
        }
    }
}
