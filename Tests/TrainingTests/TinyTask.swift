// Training of a tiny model on four sequences, as scripts/goldens/peft_adapters.py has it.

import Formats
import Foundation
import LoRA
import Models
import NN
import TestSupport
import Testing
import Torch

@testable import Runs
@testable import Training

/// Trains an adapter, two of four sequences in a step: the reference's batches.
final class TinyTask: TrainingTask {
    let llama: Llama
    let adapters: LoRASet
    let expected: SafetensorsFile
    private let sequences, labels: [[Int]]
    /// One micro-batch for each sequence instead of one for both.
    var accumulates = false
    /// The step, counted from 0, whose loss is not a number; `spoiltGradient`: whose gradient is infinite.
    /// Above it, gradients overflow.
    var largestScale = Double.infinity
    var spoiltLoss, spoiltGradient: Int?
    /// Whether someone asks to stop while the adapter's samples are made.
    var stopsBeforeSamples = false

    convenience init(_ model: String, _ adapter: String) throws {
        let folder = goldens.appendingPathComponent("llama-\(model)")
        let base = model == "gguf" ? folder.appendingPathComponent("model.gguf") : folder
        try self.init(base: base, expected: folder, adapter: goldens.appendingPathComponent("peft-\(model)-\(adapter)"))
    }

    init(base: URL, expected folder: URL, adapter: URL) throws {
        llama = try Llama.load(base, on: Placement(.cpu, .float32))
        adapters = try PEFT.read(adapter, for: llama, on: .cpu)
        adapters.attach()
        for parameter in adapters.parameters { try parameter.value.requiresGrad(true) }
        let given = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        expected = try SafetensorsFile(adapter.appendingPathComponent("expected.safetensors"))
        let tokens = try given.tensor("tokens").floats().map { Int($0) }
        let marks = try expected.tensor("labels").floats().map { Int($0) }
        let lengths = try given.tensor("lengths").floats().map { Int($0) }
        let ends = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        sequences = zip(ends, ends.dropFirst()).map { Array(tokens[$0..<$1]) }
        labels = zip(ends, ends.dropFirst()).map { marks[$0 + 1..<$1] + [-100] }
    }

    func computeGradients(step: Int, scale: Double) throws -> StepMeasure {
        let chosen = [step % 4, (step + 2) % 4]
        let learnt = Double(chosen.flatMap { labels[$0] }.count { $0 >= 0 })
        var loss = 0.0
        for batch in accumulates ? chosen.map({ [$0] }) : [chosen] {
            let sum = try llama.loss(
                batch.flatMap { sequences[$0] }, labels: batch.flatMap { labels[$0] },
                lengths: batch.map { sequences[$0].count })
            let mean = try sum * (1 / learnt)
            try (mean * scale).backward()
            loss += try mean.item()
        }
        if step == spoiltLoss { loss = .nan }
        if step == spoiltGradient || scale > largestScale {
            let value = adapters.parameters[0].value
            try value.setGrad(.full(value.shape, .infinity))
        }
        return StepMeasure(loss: loss, tokens: chosen.reduce(0) { $0 + sequences[$1].count })
    }

    func samples(ofStep step: Int) -> [String] { [step % 4, (step + 2) % 4].map { "data.jsonl:\($0 + 1)" } }

    func validationLoss() throws -> Double? { 1.5 }

    func makeSamples(step: Int) throws -> [SampleResult]? {
        if stopsBeforeSamples, step > 0 { return nil }
        return [SampleResult(prompt: "why?", text: step > 0 ? "because" : "?")]
    }

    func writeAdapter(to folder: String) throws {
        let layers = llama.modules(of: Linear.self).map(\.path)
        try PEFT.write(adapters, base: "tiny", layers: layers, to: URL(fileURLWithPath: folder))
    }

    /// The logits (T, vocabulary) of all sequences.
    func logits() throws -> Tensor {
        try withoutGradients { try llama.logits(sequences.flatMap { $0 }, lengths: sequences.map(\.count)) }
    }

    /// The mean loss over all sequences, whose gradients are added.
    func lossOfAll() throws -> Double {
        let sum = try llama.loss(
            sequences.flatMap { $0 }, labels: labels.flatMap { $0 }, lengths: sequences.map(\.count))
        let mean = try sum * (1 / Double(labels.joined().count { $0 >= 0 }))
        try mean.backward()
        return try mean.item()
    }
}

/// Keeps every event, and asks to stop after a step.
final class Recorder: TrainingListener {
    private(set) var events: [TrainingEvent] = []
    var stopsAfter: Int?

    func receive(_ event: TrainingEvent) -> TrainingDecision {
        events.append(event)
        return event.type == .step && event.step == stopsAfter ? .stop : .proceed
    }
}

/// A run of ten steps as the goldens have it, over checkpoints in a folder.
struct TinyRun {
    let task: TinyTask
    let trainer: Trainer
    let recorder = Recorder()
    let checkpoints: Checkpoints

    init(
        _ task: TinyTask, in folder: URL, learningRate: Double = 2e-2, _ change: (inout TrainerPlan) -> Void = { _ in }
    )
        throws
    {
        self.task = task
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        checkpoints = Checkpoints(folder: folder)
        var plan = TrainerPlan(
            totalSteps: 10, stepsPerEpoch: 2, schedule: LearningRateSchedule(.cosine, warmupSteps: 2, totalSteps: 10),
            maxGradientNorm: 2, saveSteps: 0,
            saveTotalLimit: 0)
        change(&plan)
        trainer = Trainer(
            plan,
            optimizer: try AdamW(
                [ParameterGroup(task.adapters.parameters, learningRate: learningRate)], betas: (0.9, 0.98),
                weightDecay: 0.05),
            checkpoints: checkpoints, listeners: [recorder])
    }

    /// Goes on from the newest checkpoint, or begins.
    @discardableResult
    func train() throws -> TrainingEnd { try trainer.train(task, from: trainer.restore()) }

    /// Every file of a checkpoint by its name.
    func files(ofStep step: Int) throws -> [String: Data] {
        let folder = checkpoints.folder.appendingPathComponent(Checkpoint.name(step))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        return try names.reduce(into: [:]) { $0[$1] = try Data(contentsOf: folder.appendingPathComponent($1)) }
    }
}
