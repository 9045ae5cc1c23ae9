// The console, the log and TensorBoard, fed with the events of a run.

import Foundation
import TestSupport
import Testing

@testable import Formats
@testable import Reports
@testable import Runs

@Suite("Listeners")
struct ListenerTests {
    private final class Screen {
        var text = ""
    }

    private func console(columns: Int?, _ events: [TrainingEvent], _ language: ReportLanguage = .en) -> String {
        let screen = Screen()
        let terminal = Terminal { columns }
        let console = ConsoleProgress(totalSteps: 30, language: language, terminal: terminal) { screen.text += $0 }
        for event in events { #expect(console.receive(event) == .proceed) }
        return screen.text
    }

    @Test("a pipe gets plain lines at intervals", arguments: ReportLanguage.allCases)
    func plain(language: ReportLanguage) throws {
        try expectSnapshot(console(columns: nil, SampleRun.finished, language), "console-\(language.rawValue).txt")
    }

    @Test("a terminal gets one live line below the messages")
    func live() throws {
        let text = console(columns: 100, SampleRun.finished)
        let visible = text.replacingOccurrences(of: "\u{1b}", with: "␛").replacingOccurrences(of: "\r", with: "␍")
        try expectSnapshot(visible, "terminal.txt")
    }

    @Test("the live line fits any width", arguments: [4, 5, 20, 39, 40, 60, 79, 80, 120, 200])
    func width(columns: Int) {
        for language in ReportLanguage.allCases {
            let text = console(columns: columns, SampleRun.events(steps: 30).filter { $0.type == .step }, language)
            let lines = text.components(separatedBy: "\r\u{1b}[2K").filter { !$0.isEmpty }
            #expect(lines.count == 30)
            #expect(lines.allSatisfy { ProgressFields.width($0) < max(2, columns) }, "\(lines.last ?? "")")
        }
    }

    @Test("the bar is full at the end and drawn at most ten times a second")
    func bar() {
        let events = (1...30).map { step in
            var event = SampleRun.step(step)
            event.time = 1000 + Double(step) * 0.01
            return event
        }
        let lines = console(columns: 120, events).components(separatedBy: "\r\u{1b}[2K").filter { !$0.isEmpty }
        #expect(lines.count == 4)
        #expect(lines.last?.hasPrefix(String(repeating: "█", count: 30) + "  step 30/30  loss ") == true)
    }

    @Test("the log has a line with a time for every event")
    func log() throws {
        try withTemporaryFolder { folder in
            let file = folder.appendingPathComponent("logs/train.log")
            for half in [SampleRun.finished.prefix(20), SampleRun.finished.dropFirst(20)] {
                let log = try LogFile(file)
                for event in half { _ = try log.receive(event) }
            }
            try expectSnapshot(String(contentsOf: file, encoding: .utf8), "train.log")
        }
    }

    @Test("a log that cannot be opened is named, with what to do")
    func logNotWritable() throws {
        try withTemporaryFolder { folder in
            let error = try #require(throws: ReportError.self) { try LogFile(folder) }
            #expect(error.description.hasPrefix("\(folder.path): cannot be written: Is a directory; check its rights"))
        }
    }

    @Test("TensorBoard gets the scalars of a step in one event, and drops what is done again")
    func tensorBoard() throws {
        try withTemporaryFolder { folder in
            let log = try TensorBoardLog(folder: folder, time: 1000)
            _ = try log.receive(TrainingEvent(.start, step: 10, epoch: 1, time: 1001))
            _ = try log.receive(SampleRun.step(11))
            _ = try log.receive(SampleRun.validation(15))
            let scalars: [TensorBoardEvent.Scalar] = [
                .init("train/loss", Float(try #require(SampleRun.step(11).loss))),
                .init("train/learning_rate", Float(0.002 * 19.0 / 27)), .init("train/epoch", 1.1),
                .init("train/gradient_norm", 1.25), .init("speed/tokens_per_second", 404),
                .init("speed/step_seconds", 2), .init("memory_mib", 411),
            ]
            let expected: [TensorBoardEvent] = [
                .init(time: 1000, step: 0, content: .fileVersion), .init(time: 1001, step: 11, content: .sessionStart),
                .init(time: 1022, step: 11, content: .scalars(scalars)),
                .init(
                    time: 1030, step: 15, content: .scalars([.init("validation/loss", Float(0.8 + 2 / Double(15)))])),
            ]
            let bytes = expected.flatMap { TensorBoardRecord.frame($0.encoded) }
            #expect(try Data(contentsOf: log.file) == Data(bytes))
        }
    }
}
