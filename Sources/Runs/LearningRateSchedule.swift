// How the learning rate moves over a run.
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/optimization.py

import Foundation

/// The factor on the learning rate at every step: a linear rise, then constant, linear to zero, or half a cosine.
public struct LearningRateSchedule: Sendable, Equatable {
    /// How the learning rate moves after warm-up.
    public let kind: ScheduleKind
    /// Steps of the linear rise from zero.
    public let warmupSteps: Int
    /// Steps of the whole run.
    public let totalSteps: Int

    /// A schedule over `totalSteps` optimizer steps, of which the first `warmupSteps` rise.
    public init(_ kind: ScheduleKind, warmupSteps: Int, totalSteps: Int) {
        (self.kind, self.warmupSteps, self.totalSteps) = (kind, max(0, warmupSteps), max(0, totalSteps))
    }

    /// The schedule that a configuration asks for. A ratio of warm-up is rounded up to whole steps.
    public init(_ options: ScheduleOptions, totalSteps: Int) {
        let share = (Double(max(0, totalSteps)) * (options.warmupRatio ?? 0)).rounded(.up)
        self.init(options.kind, warmupSteps: options.warmupSteps ?? Int(share), totalSteps: totalSteps)
    }

    /// The factor for the optimizer step that follows `step` finished ones.
    public func factor(at step: Int) -> Double {
        if step < warmupSteps { return Double(max(0, step)) / Double(max(1, warmupSteps)) }
        let span = Double(max(1, totalSteps - warmupSteps))
        switch kind {
        case .constant:
            return 1
        case .linear:
            return max(0, Double(totalSteps - step) / span)
        case .cosine:
            let progress = Double(step - warmupSteps) / span
            return max(0, 0.5 * (1 + cos(Double.pi * 0.5 * 2 * progress)))
        }
    }
}

extension ScheduleOptions {
    /// Optimizer steps of the whole run.
    public func totalSteps(stepsPerEpoch: Int) -> Int { maxSteps ?? epochs * stepsPerEpoch }
}
