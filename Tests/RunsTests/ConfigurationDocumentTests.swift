// docs/configuration.md lists every key, and nothing else.

import Foundation
import TestSupport
import Testing

@testable import Runs

@Suite("The list of keys")
struct ConfigurationDocumentTests {
    private let file = goldens.deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("docs/configuration.md")

    /// The document, made from the closed list of keys.
    private var document: String {
        var text = """
            # Configuration keys

            Every key of a run's YAML file. `lora train CONFIG.yaml --set key=value` overrides one. A run writes all of \
            them, with the values it used, to its `config.yaml`. Only `base_model`, `train_data_dir` (or `train_data`, \
            which means the same) and `output_dir` must be given.

            """
        var pictures = Configuration()
        pictures.model.taskType = .textToImage
        let entries = (Configuration().entries + pictures.entries).map { ($0.key, $0.value) }
        let defaults = Dictionary(entries) { first, _ in first }
        for section in Settings.sections {
            text += "\n## \(section.title)\n\n| key | meaning | example | default |\n|---|---|---|---|\n"
            for setting in section.settings {
                let standard = defaults[setting.key].map { ["", "\"\"", "null"].contains($0) ? "" : "`\($0)`" } ?? ""
                let key = setting.key + "`" + (setting.onlyTask.map { " (\($0.rawValue))" } ?? "")
                text += "| `\(key) | \(setting.about) | `\(setting.example)` | \(standard) |\n"
            }
        }
        return text
    }

    @Test("docs/configuration.md is what the program reads")
    func matches() throws {
        if ProcessInfo.processInfo.environment["LORA_UPDATE"] != nil {
            try Data(document.utf8).write(to: file)
        }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written == document, "if this is meant: LORA_UPDATE=1 ./test ConfigurationDocument")
    }
}
