// Reports as whole texts, for every way a run can end.

import Foundation
import TestSupport
import Testing

@testable import Reports
@testable import Runs

@Suite("A run's report")
struct ReportTests {
    private func text(
        _ facts: RunFacts, _ events: [TrainingEvent], _ language: ReportLanguage = .en
    ) -> String {
        Report(config: SampleRun.config, facts: facts, events: events, language: language).markdown(hasPicture: true)
    }

    @Test("tells a finished run from verdict to reproduction", arguments: ReportLanguage.allCases)
    func finished(language: ReportLanguage) throws {
        try expectSnapshot(text(SampleRun.facts, SampleRun.finished, language), "finished-\(language.rawValue).md")
    }

    @Test("of an interrupted run says what is saved and how to resume", arguments: ReportLanguage.allCases)
    func interrupted(language: ReportLanguage) throws {
        var facts = SampleRun.facts
        (facts.state, facts.outputs) = ("interrupted", [])
        let name = "interrupted-\(language.rawValue).md"
        try expectSnapshot(text(facts, SampleRun.events(steps: 17), language), name)
    }

    @Test("of a failed run gives the reason and what to do", arguments: ReportLanguage.allCases)
    func failed(language: ReportLanguage) throws {
        var facts = SampleRun.facts
        facts.state = "failed: step 7: the loss is nan; lower learning_rate (now 0.002)"
        facts.outputs = []
        var events = SampleRun.events(steps: 7)
        events[events.count - 1].loss = .nan
        try expectSnapshot(text(facts, events, language), "failed-\(language.rawValue).md")
    }

    @Test("of a run without a single event says so", arguments: ReportLanguage.allCases)
    func empty(language: ReportLanguage) throws {
        let facts = RunFacts(command: "./lora train a.yaml", identity: SampleRun.hash("0"))
        let report = Report(config: [], facts: facts, events: [], language: language)
        try expectSnapshot(report.markdown(hasPicture: false), "empty-\(language.rawValue).md")
    }

    @Test("takes the language and the name from the configuration")
    func language() {
        let config = [(key: "language", value: "zh"), (key: "output_dir", value: "runs/a_b")]
        let report = Report(config: config, facts: SampleRun.facts, events: [])
        #expect(report.markdown(hasPicture: false).hasPrefix("# LoRA 训练报告:a\\_b\n"))
    }

    @Test("holds every line of the example report")
    func superset() {
        let report = text(SampleRun.facts, SampleRun.finished)
        for line in [
            "# LoRA Training Report: helpdesk", "- **Base Model**: SmolLM2 135M Instruct", "- **Training Data**: 208 ",
            "- **LoRA Rank**: 16", "- **Batch Size**: 4 ", "- **Learning Rate**: 2e-3", "- **Epochs Completed**: 3 ",
            "- **Output Path**: `checkpoints/adapter_model.safetensors`", "- **Best Loss**: 0.5833 (step 30)",
        ] {
            #expect(report.contains("\n" + line) || report.hasPrefix(line), "\(line)")
        }
    }

    @Test("writes the document and its pictures, and draws again only what changed")
    func files() throws {
        try withTemporaryFolder { folder in
            let report = Report(config: SampleRun.config, facts: SampleRun.facts, events: SampleRun.finished)
            let files = try report.write(to: folder.appendingPathComponent("run"))
            #expect(try String(contentsOf: files.readme, encoding: .utf8).hasPrefix("# LoRA Training Report"))
            let svg = try Data(contentsOf: #require(files.curve))
            #expect(svg.count > 3000)
            guard let picture = files.picture else {
                #expect(files.warnings.count == 1)
                return
            }
            #expect(try Data(contentsOf: picture).starts(with: [0x89, 0x50, 0x4e, 0x47]))
            try Data("kept".utf8).write(to: picture)
            #expect(try report.write(to: folder.appendingPathComponent("run")) == files)
            #expect(try Data(contentsOf: picture) == Data("kept".utf8))
            let longer = Report(config: [], facts: SampleRun.facts, events: SampleRun.events(steps: 12))
            _ = try longer.write(to: folder.appendingPathComponent("run"))
            #expect(try Data(contentsOf: picture) != Data("kept".utf8))
        }
    }

    @Test("that cannot be written names the file and what to do")
    func notWritable() throws {
        try withTemporaryFolder { folder in
            let file = folder.appendingPathComponent("run")
            try Data().write(to: file)
            let report = Report(config: [], facts: SampleRun.facts, events: [])
            let error = try #require(throws: ReportError.self) { try report.write(to: file) }
            #expect(error.description.hasPrefix("\(file.path): cannot be written: "))
            #expect(
                error.description.hasSuffix("; check its rights and the free space (df -h), then repeat the command"))
        }
    }

    @Test("of ten thousand events takes little time and keeps the picture small")
    func large() throws {
        let events = (1...10_000).map { step in
            var event = SampleRun.step(step)
            event.epoch = Double(step) / 500
            return event
        }
        let report = Report(config: SampleRun.config, facts: SampleRun.facts, events: events)
        let clock = ContinuousClock()
        var text = ""
        let time = clock.measure { text = report.markdown(hasPicture: true) }
        #expect(time < .seconds(2))  // some 5 ms when optimised
        #expect(text.utf8.count < 20_000)
        #expect(try #require(LossChart(report.history, language: .en)).svg.utf8.count < 60_000)
    }
}
