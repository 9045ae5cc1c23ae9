// A configuration written out: as a file that can be run again, as pairs for a report, as a hash, as differences.

import Formats
import Foundation

extension Configuration {
    /// The settings of this task in the file's order; those without a value are left out.
    public var entries: [(key: String, value: String)] {
        applicable.compactMap { setting in setting.written(self).map { (setting.key, $0) } }
    }

    private var applicable: [Setting] { Settings.all.filter { $0.applies(to: model.taskType) } }

    /// The configuration as a YAML file with every default filled in; reading it gives this configuration again.
    public var yaml: String {
        var lines = [
            "# As run, defaults filled in. Run it again, in the same working directory: lora train <this file>"
        ]
        for section in Settings.sections {
            let settings = section.settings.filter { $0.applies(to: model.taskType) }
            guard !settings.isEmpty else { continue }
            lines += ["", "# \(section.title)"]
            var group: Substring?
            for setting in settings {
                let path = setting.key.split(separator: ".")
                if path.count > 1, group != path[0] {
                    group = path[0]
                    lines.append("\(path[0]):")
                }
                lines += line(setting, name: path.last ?? "", indentation: path.count > 1 ? "  " : "")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ setting: Setting, name: Substring, indentation: String) -> [String] {
        if setting.key == "samples.prompts", !samples.prompts.isEmpty {
            return ["\(indentation)\(name):"] + samples.prompts.map { "\(indentation)  - \($0.yamlText)" }
        }
        let assignment = "\(indentation)\(name): \(setting.written(self) ?? "~")"
        let gap = String(repeating: " ", count: max(2, 44 - assignment.count))
        return ["\(assignment)\(gap)# \(setting.about)"]
    }

    /// A hash over every setting that changes the trained adapter; files count by contents, which the caller adds.
    public var identity: String {
        let lines = applicable.filter(\.shapesResult).map { "\($0.key)=\($0.written(self) ?? "~")\n" }
        return sha256(of: Data(lines.joined().utf8))
    }

    /// One setting that two configurations disagree on.
    public struct Difference: Sendable, Equatable {
        /// As in the file.
        public var key: String
        /// The value of the one and of the other, as in the file; `~` where there is none.
        public var values: (String, String)
        /// Whether it changes the trained adapter.
        public var shapesResult: Bool

        /// Field by field; tuples have no equality of their own to derive it from.
        public static func == (a: Difference, b: Difference) -> Bool {
            (a.key, a.shapesResult) == (b.key, b.shapesResult) && a.values == b.values
        }
    }

    /// Key by key, what differs from this configuration to another.
    public func differences(to other: Configuration) -> [Difference] {
        Settings.all.compactMap { setting in
            let values = (setting.written(self) ?? "~", setting.written(other) ?? "~")
            return values.0 == values.1
                ? nil : Difference(key: setting.key, values: values, shapesResult: setting.shapesResult)
        }
    }
}

extension Setting {
    func applies(to task: TaskType) -> Bool { onlyTask == nil || onlyTask == task }
}
