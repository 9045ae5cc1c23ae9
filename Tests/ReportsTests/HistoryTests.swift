// What events amount to: sessions, averages, the words for a trend, the verdict.

import Foundation
import Testing

@testable import Reports
@testable import Runs

@Suite("A run's history")
struct HistoryTests {
    @Test("has each step once after a crash and a resumed session")
    func resumed() {
        var restart = TrainingEvent(.start, step: 10, epoch: 1, time: 2000)
        restart.message = nil
        let again = (11...20).map { step in
            var event = SampleRun.step(step)
            event.loss = 9
            return event
        }
        let history = RunHistory(SampleRun.events(steps: 14) + [restart] + again)
        #expect(history.steps.map(\.step) == Array(1...20))
        #expect(history.steps[12].loss == 9)
        #expect(history.validations.map(\.step) == [5, 10])
        #expect(history.sessions == 2)
    }

    @Test("stands where the last session began until that session has gone on")
    func justResumed() {
        let restart = TrainingEvent(.start, step: 10, epoch: 1, time: 2000)
        let history = RunHistory(SampleRun.finished + [restart])
        #expect(history.steps.map(\.step) == Array(1...10))
        #expect(history.validations.map(\.step) == [5, 10])
        #expect(history.checkpoints.map(\.step) == [10])
        #expect(history.samples.allSatisfy { $0.step == 0 })
        #expect(history.finish == nil)
        #expect(history.lastStep == 10)
    }

    @Test("equals the history of a run that was never stopped")
    func equalsUninterrupted() {
        let restart = TrainingEvent(.start, step: 10, epoch: 1, time: 2000)
        let rest = SampleRun.finished.filter { $0.step > 10 }
        let resumed = RunHistory(SampleRun.events(steps: 14) + [restart] + rest)
        let whole = RunHistory(SampleRun.finished)
        #expect(resumed.steps == whole.steps)
        #expect(resumed.validations == whole.validations)
        #expect(resumed.checkpoints == whole.checkpoints)
        #expect(resumed.samples == whole.samples)
        #expect(resumed.finish == whole.finish)
    }

    @Test("averages epochs and leaves out losses that are not numbers")
    func epochs() throws {
        var events = SampleRun.events(steps: 15)
        let index = try #require(events.firstIndex { $0.type == .step && $0.step == 3 })
        events[index].loss = .infinity
        let history = RunHistory(events)
        let expected = [1, 2, 4, 5, 6, 7, 8, 9, 10].compactMap { SampleRun.step($0).loss }.reduce(0, +) / 9
        #expect(history.epochs.count == 2)
        #expect(abs(try #require(history.epochs[0].averageLoss) - expected) < 1e-12)
        #expect(history.epochs[0].validationLoss == 1)
        #expect(history.epochs[0].trend == .first)
        #expect(!history.epochs[1].isComplete)
        #expect(history.epochs[1].trend == nil)
        #expect(history.nonFiniteSteps == [3])
    }

    @Test("names trends by the stated rule")
    func trends() {
        #expect(EpochSummary.trend(from: 1, to: 0.9) == .falling)
        #expect(EpochSummary.trend(from: 1, to: 0.901) == .converging)
        #expect(EpochSummary.trend(from: 1, to: 0.979) == .converging)
        #expect(EpochSummary.trend(from: 1, to: 0.981) == .flat)
        #expect(EpochSummary.trend(from: 1, to: 1.019) == .flat)
        #expect(EpochSummary.trend(from: 1, to: 1.021) == .rising)
        #expect(EpochSummary.trend(from: 0, to: 0) == .flat)
    }

    @Test("weighs rates by the time of their steps")
    func rates() {
        var steps = [SampleRun.step(1), SampleRun.step(2)]
        (steps[0].tokensPerSecond, steps[0].stepSeconds) = (100, 1)
        (steps[1].tokensPerSecond, steps[1].stepSeconds) = (400, 3)
        #expect(EpochSummary.rate(steps[...], \.tokensPerSecond) == 325)
    }

    @Test("survives numbers that no run has")
    func hostile() {
        var events: [TrainingEvent] = []
        for value in [Double.nan, .infinity, -.infinity, 1e300, -1e300, 5e-324] {
            for step in [Int.min, -1, 0, Int.max] {
                for type in [TrainingEvent.Kind.step, .validation, .start, .finish, .checkpoint, .sample, .warning] {
                    var event = TrainingEvent(type, step: step, epoch: value, time: value)
                    (event.loss, event.learningRate, event.tokensPerSecond) = (value, value, value)
                    (event.stepSeconds, event.memoryMib) = (value, value)
                    events.append(event)
                }
            }
        }
        var facts = SampleRun.facts
        (facts.seconds, facts.peakMemoryMib, facts.totalSteps) = (.nan, .infinity, Int.min)
        for language in ReportLanguage.allCases {
            for events in [events, events.filter { $0.type == .step }, Array(events.reversed())] {
                let report = Report(config: SampleRun.config, facts: facts, events: events, language: language)
                #expect(!report.markdown(hasPicture: true).isEmpty)
                _ = LossChart(report.history, language: language)?.svg
                let console = ConsoleProgress(totalSteps: Int.max, terminal: Terminal { 40 }) { _ in }
                for event in events { _ = console.receive(event) }
            }
        }
    }

    // MARK: - Verdict

    private func verdict(_ facts: RunFacts, _ events: [TrainingEvent]) -> String {
        Report(config: [], facts: facts, events: events).verdict
    }

    @Test("does not call a rising loss a success")
    func rising() {
        let events = (1...30).map { step in
            var event = SampleRun.step(step)
            event.loss = Double(step)
            return event
        }
        let text = verdict(SampleRun.facts, events)
        #expect(text.contains("the average loss of an epoch rose from 5.500 (epoch 1) to 25.500 (epoch 3)."))
    }

    @Test("points out a validation loss that turned")
    func overfitting() {
        var facts = SampleRun.facts
        facts.totalSteps = 15
        var events = SampleRun.events(steps: 15)
        for (index, event) in events.enumerated() where event.type == .validation {
            events[index].loss = [5: 1.5, 10: 1.0, 15: 1.1][event.step] ?? 0
        }
        let expected =
            "; the validation loss was lowest at step 10 (1.000) and ended 10 % above that, a sign of overfitting."
        #expect(verdict(facts, events).hasSuffix(expected))
    }

    @Test("does not judge from a few steps")
    func fewSteps() {
        let text = verdict(SampleRun.facts, SampleRun.events(steps: 4))
        #expect(text.contains("4 steps with a loss are too few to say where it goes"))
    }
}
