// What a run's events amount to: each step once, whatever the number of sessions, with averages by epoch.

import Foundation
import Runs

/// The events of a run put in order.
struct RunHistory: Sendable {
    /// The end of each step that counts, in order, each once.
    private(set) var steps: [TrainingEvent] = []
    private(set) var validations: [TrainingEvent] = []
    private(set) var checkpoints: [TrainingEvent] = []
    private(set) var samples: [TrainingEvent] = []
    /// Each text once.
    private(set) var warnings: [String] = []
    /// The last event, if it says how the run ended.
    private(set) var finish: TrainingEvent?
    /// How often the run was started or resumed.
    private(set) var sessions = 0
    /// Averages by epoch.
    private(set) var epochs: [EpochSummary] = []

    init(_ events: [TrainingEvent]) {
        var said: Set<String> = []
        for event in events {
            switch event.type {
            case .start: begin(event)
            case .step:
                drop(from: &steps, while: { $0.step >= event.step })
                steps.append(event)
            case .validation:
                drop(from: &validations, while: { $0.step >= event.step })
                validations.append(event)
            case .checkpoint: checkpoints.append(event)
            case .sample: samples.append(event)
            case .warning:
                if let message = event.message, said.insert(message).inserted { warnings.append(message) }
            case .finish: finish = event
            }
        }
        epochs = EpochSummary.all(steps: steps, validations: validations)
    }

    /// The step with the lowest loss.
    var best: (step: Int, loss: Double)? { Self.lowest(steps) }

    /// The validation with the lowest loss.
    var bestValidation: (step: Int, loss: Double)? { Self.lowest(validations) }

    /// Steps whose loss is not a number.
    var nonFiniteSteps: [Int] { steps.filter { $0.loss.map { !$0.isFinite } ?? false }.map(\.step) }

    /// Steps done.
    var lastStep: Int { max(steps.last?.step ?? 0, finish?.step ?? 0) }

    /// Epochs done, as a fraction.
    var lastEpoch: Double { max(steps.last?.epoch ?? 0, finish?.epoch ?? 0) }

    /// The folder of the newest checkpoint, relative to the run folder.
    var lastCheckpoint: (path: String, step: Int)? {
        checkpoints.last.flatMap { event in event.path.map { ($0, event.step) } }
    }

    /// A session that resumes at a step repeats what an earlier session did after it.
    private mutating func begin(_ start: TrainingEvent) {
        sessions += 1
        finish = nil
        drop(from: &steps, while: { $0.step > start.step })
        drop(from: &validations, while: { $0.step > start.step })
        drop(from: &checkpoints, while: { $0.step > start.step })
        drop(from: &samples, while: { $0.step > start.step })
    }

    private func drop(from events: inout [TrainingEvent], while isLater: (TrainingEvent) -> Bool) {
        while let last = events.last, isLater(last) { events.removeLast() }
    }

    private static func lowest(_ events: [TrainingEvent]) -> (step: Int, loss: Double)? {
        var best: (step: Int, loss: Double)?
        for event in events {
            guard let loss = event.loss, loss.isFinite, loss < best?.loss ?? .infinity else { continue }
            best = (event.step, loss)
        }
        return best
    }
}

/// How a run stands.
enum RunState: Equatable, Sendable {
    case running, done, interrupted
    case failed(String)

    init(facts: RunFacts, finish: TrainingEvent?) {
        let text = facts.state == "running" ? finish?.message ?? facts.state : facts.state
        switch text {
        case "done": self = .done
        case "interrupted": self = .interrupted
        case "running": self = .running
        case _ where text.hasPrefix("failed:"):
            self = .failed(text.dropFirst(7).trimmingCharacters(in: .whitespacesAndNewlines))
        default: self = .failed(text)
        }
    }
}
