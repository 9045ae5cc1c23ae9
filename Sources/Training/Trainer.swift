// The training loop, the same for text and pictures.

import Formats
import Foundation
import Runs
import Torch

/// When a trainer does what besides training; steps are counted from 1, and 0 or nil means never.
public struct TrainerPlan: Sendable {
    /// Optimizer steps of the whole run.
    public var totalSteps: Int
    /// Optimizer steps of one pass over the data.
    public var stepsPerEpoch: Int
    /// How the learning rate moves.
    public var schedule: LearningRateSchedule
    /// 0: no clipping.
    public var maxGradientNorm: Double
    /// Steps between checkpoints; the last step always leaves one.
    public var saveSteps: Int
    /// Checkpoints kept, newest first; 0 keeps all.
    public var saveTotalLimit: Int
    /// Steps between validations; the last step always has one.
    public var validationSteps: Int?
    /// Steps between samples; there are always some before the first step and after the last.
    public var sampleSteps: Int?
    /// Whether losses are multiplied by a large factor while gradients are computed, as fp16 needs it.
    public var scalesLoss: Bool

    /// Makes a plan without validations and samples on the way, unless given.
    public init(
        totalSteps: Int, stepsPerEpoch: Int, schedule: LearningRateSchedule, maxGradientNorm: Double, saveSteps: Int,
        saveTotalLimit: Int, validationSteps: Int? = nil, sampleSteps: Int? = nil, scalesLoss: Bool = false
    ) {
        (self.totalSteps, self.stepsPerEpoch) = (totalSteps, stepsPerEpoch)
        (self.schedule, self.maxGradientNorm) = (schedule, maxGradientNorm)
        (self.saveSteps, self.saveTotalLimit) = (saveSteps, saveTotalLimit)
        (self.validationSteps, self.sampleSteps, self.scalesLoss) = (validationSteps, sampleSteps, scalesLoss)
    }
}

/// How a run ended.
public enum TrainingEnd: Sendable, Equatable { case done, interrupted }

/// Drives a task step by step: gradients, clipping, the optimizer, checkpoints, validation, samples.
public final class Trainer {
    private let plan: TrainerPlan
    private let optimizer: AdamW
    private let parameters: [(key: String, value: Tensor)]
    private let checkpoints: Checkpoints
    private let listeners: [any TrainingListener]
    private let device: Device
    private var lossScale: LossScale?
    private var stops = false
    /// Whether someone asked to stop before samples were made.
    private var lacksSamples = false

    /// Makes a trainer of the optimizer's parameters.
    public init(
        _ plan: TrainerPlan, optimizer: AdamW, checkpoints: Checkpoints, listeners: [any TrainingListener]
    ) {
        (self.plan, self.optimizer, parameters) = (plan, optimizer, optimizer.parameters)
        (self.checkpoints, self.listeners) = (checkpoints, listeners)
        device = parameters.first?.value.device ?? .cpu
        lossScale = plan.scalesLoss ? LossScale() : nil
    }

    /// Loads the newest checkpoint, if there is one, and says after which step it was made; 0: from the start.
    public func restore() throws -> Int {
        guard let newest = checkpoints.newest else { return 0 }
        let metadata = try TrainingState.read(parameters + optimizer.state, step: newest.step, from: newest.folder)
        if lossScale != nil { lossScale = LossScale(metadata) ?? LossScale() }
        return newest.step
    }

    /// Trains from after step `first` to the end, or until a listener asks to stop.
    public func train(_ task: some TrainingTask, from first: Int) throws -> TrainingEnd {
        try tell(event(.start, step: first))
        // A run goes on from a checkpoint, and the samples of its step come after it: they are made anew.
        if first == 0 || areSamplesDue(first) { try showSamples(task, step: first) }
        var step = first
        while step < plan.totalSteps, !stops {
            try advance(task, from: step)
            step += 1
            if step == plan.totalSteps || isDue(plan.validationSteps, step) { try validate(task, step: step) }
            let saves = step == plan.totalSteps || stops || isDue(plan.saveSteps, step)
            if saves { try save(task, step: step) }
            if areSamplesDue(step) { try showSamples(task, step: step) }
            if stops, !saves { try save(task, step: step) }
        }
        return step < plan.totalSteps || lacksSamples ? .interrupted : .done
    }

    private func areSamplesDue(_ step: Int) -> Bool { step == plan.totalSteps || isDue(plan.sampleSteps, step) }

    private func advance(_ task: some TrainingTask, from step: Int) throws {
        let start = ContinuousClock.now
        let scale = lossScale?.factor ?? 1
        let measure = try task.computeGradients(step: step, scale: scale)
        let norm = try clip(afterScale: scale)
        let factor = plan.schedule.factor(at: step)
        lossScale?.update(isFinite: norm.isFinite)
        if measure.loss.isFinite, !norm.isFinite, scale > 1 {
            // Too large for fp16 only by the factor: without an update, as torch's scaler has it.
            for parameter in parameters { try parameter.value.setGrad(nil) }
        } else {
            for (what, value) in [("loss", measure.loss), ("gradient", norm)] where !value.isFinite {
                throw TrainingError.notFinite(what: what, step: step + 1, samples: task.samples(ofStep: step))
            }
            try optimizer.step(factor: factor, after: step)
        }

        let seconds = (ContinuousClock.now - start) / .seconds(1)
        var event = event(.step, step: step + 1)
        (event.loss, event.gradientNorm) = (measure.loss, norm.isFinite ? norm : nil)
        event.learningRate = optimizer.groups.first.map { $0.learningRate * factor }
        event.tokensPerSecond = measure.tokens.map { Double($0) / seconds }
        event.imagesPerSecond = measure.images.map { Double($0) / seconds }
        event.stepSeconds = seconds
        try tell(event)
    }

    /// The norm over all gradients, which are scaled down where it is above the limit.
    private func clip(afterScale factor: Double) throws -> Double {
        try withoutGradients {
            let gradients = try parameters.map { try $0.value.gradient() }
            if factor != 1 { try scale(gradients, by: 1 / factor) }
            let parts = try norms(gradients).map { try $0.reshape(1) }
            let norm = try concatenated(parts).norm().item()
            // As torch.nn.utils.clip_grad_norm_ has it.
            if plan.maxGradientNorm > 0, norm.isFinite, norm > plan.maxGradientNorm {
                try scale(gradients, by: plan.maxGradientNorm / (norm + 1e-6))
            }
            return norm
        }
    }

    private func validate(_ task: some TrainingTask, step: Int) throws {
        guard let loss = try withoutGradients(task.validationLoss) else { return }
        var event = event(.validation, step: step)
        event.loss = loss
        try tell(event)
    }

    private func save(_ task: some TrainingTask, step: Int) throws {
        let checkpoint = try checkpoints.save(step: step) { folder in
            try task.writeAdapter(to: folder.path)
            try TrainingState.write(
                parameters + optimizer.state, step: step, metadata: lossScale?.metadata ?? [:], to: folder)
        }
        try checkpoints.prune(keeping: plan.saveTotalLimit)
        var event = event(.checkpoint, step: step)
        event.path = "checkpoints/\(checkpoint.name)"
        try tell(event)
    }

    /// Before the first step, the base model's; later, the adapter's.
    private func showSamples(_ task: some TrainingTask, step: Int) throws {
        guard let samples = try withoutGradients({ try task.makeSamples(step: step) }) else {
            (stops, lacksSamples) = (true, true)
            return
        }
        for sample in samples {
            var event = event(.sample, step: step)
            (event.prompt, event.text, event.path) = (sample.prompt, sample.text, sample.path)
            event.name = step > 0 ? "adapter" : "base"
            try tell(event)
        }
    }

    private func isDue(_ interval: Int?, _ step: Int) -> Bool {
        guard let interval, interval > 0 else { return false }
        return step.isMultiple(of: interval)
    }

    private func event(_ type: TrainingEvent.Kind, step: Int) -> TrainingEvent {
        var event = TrainingEvent(type, step: step, epoch: Double(step) / Double(max(1, plan.stepsPerEpoch)))
        event.memoryMib = Double(Accelerator.memory(of: device).now) / 1_048_576
        return event
    }

    private func tell(_ event: TrainingEvent) throws {
        for listener in listeners where try listener.receive(event) == .stop { stops = true }
    }
}
