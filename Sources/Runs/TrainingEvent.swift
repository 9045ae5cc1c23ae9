// What a run tells its listeners and leaves in `events.jsonl`: one JSON object a line.

import Foundation

/// Something that happened in a run. Keys in `events.jsonl` are the property names in snake_case; absent values are
/// left out.
public struct TrainingEvent: Codable, Sendable, Equatable {
    /// What happened.
    public enum Kind: String, Codable, Sendable {
        /// `start` and `finish` stand at the ends of each session of a run.
        case start, step, validation, checkpoint, sample, warning, finish
    }

    /// What happened; it decides which of the values below are there.
    public var type: Kind
    /// Optimizer steps done so far.
    public var step: Int
    /// Epochs done so far, as a fraction.
    public var epoch: Double
    /// Seconds since 1970.
    public var time: Double
    /// Mean loss over the step's supervised tokens (or pictures).
    public var loss: Double?
    /// The learning rate of this step.
    public var learningRate: Double?
    /// Norm of the gradient before clipping.
    public var gradientNorm: Double?
    /// Real tokens a second, padding not counted.
    public var tokensPerSecond: Double?
    /// Pictures a second.
    public var imagesPerSecond: Double?
    /// Seconds that this step took, all micro-batches together.
    public var stepSeconds: Double?
    /// Resident memory of the process (or of the device, where it has its own), in MiB.
    public var memoryMib: Double?
    /// `checkpoint` and `sample`: a path relative to the run folder.
    public var path: String?
    /// `sample`: what was asked.
    public var prompt: String?
    /// `sample`: the answer.
    public var text: String?
    /// `sample`: who answered, `base` or `adapter`.
    public var name: String?
    /// `warning` and `finish`: what there is to say. `finish`: `done`, `interrupted` or `failed: …`.
    public var message: String?

    /// Makes an event of now, or of `time`; all other values are absent.
    public init(_ type: Kind, step: Int, epoch: Double, time: Double = Date().timeIntervalSince1970) {
        self.type = type
        self.step = step
        self.epoch = epoch
        self.time = time
    }
}

/// Hears of everything that happens in a run.
public protocol TrainingListener: AnyObject {
    /// Hears of one event. The trainer saves and stops after an event that a listener answers with `.stop`.
    func receive(_ event: TrainingEvent) throws -> TrainingDecision
}

/// What a listener asks of the trainer.
public enum TrainingDecision: Sendable { case proceed, stop }
