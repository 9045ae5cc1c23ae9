// Training on latents follows diffusers' and PEFT's curve: loss with its weights, both networks, AdamW's groups.

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

/// The pocket model with adapters on both networks and the batches of scripts/goldens/diffusion_curve.py.
private final class TinyPictureTask: TrainingTask {
    let unet: UNet2DConditionModel
    let encoder: CLIPTextModel
    let golden: SafetensorsFile
    var groups: [ParameterGroup] = []
    var schedule = NoiseSchedule()

    init(recomputes: Bool = false) throws {
        let base = goldens.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("assets/pocket-emoji")
        let parts = try StableDiffusion.load(base, on: Placement(.cpu, .float32))
        (unet, encoder) = (parts.unet, parts.textEncoder)
        unet.checkpointsGradients = recomputes
        golden = try SafetensorsFile(goldens.appendingPathComponent("diffusion-curve.safetensors"))
    }

    func adapt() throws {
        groups = [
            ParameterGroup(try adapters(unet, ["to_q", "to_k", "to_v", "to_out.0"]), learningRate: 1e-2),
            ParameterGroup(try adapters(encoder, ["q_proj", "v_proj"]), learningRate: 5e-3),
        ]
    }

    private func adapters(_ model: Module, _ targets: [String]) throws -> [(key: String, value: Tensor)] {
        let set = try LoRASet.inject(LoRAConfig(rank: 2, alpha: 3, targets: targets), into: model, seed: 0, on: .cpu)
        for (place, (key, value)) in set.parameters.sorted(by: { $0.key < $1.key }).enumerated() {
            let bound = key.contains("lora_A") ? 1 / Double(value.shape[1]).squareRoot() : 0.1
            let factors = (0..<value.count).map {
                Float(Double(($0 * 7919 + place * 104_729) % 2003 - 1001) / 1001 * bound)
            }
            try withoutGradients { try value.copy(from: Tensor(factors, value.shape)) }
        }
        return set.parameters
    }

    func batch(_ step: Int) throws -> DenoisingBatch {
        func stored(_ name: String) throws -> StoredTensor { try golden.tensor("\(step).\(name)") }
        func tensor(_ name: String) throws -> Tensor { try Tensor(stored(name).floats(), stored(name).shape) }
        func numbers(_ name: String) throws -> [Int] { try stored(name).floats().map { Int($0) } }
        let tokens = try numbers("tokens")
        return DenoisingBatch(
            latents: try tensor("latents"), noise: try tensor("noise"), timesteps: try numbers("timesteps"),
            context: try encoder([Array(tokens[..<77]), Array(tokens[77...])]),
            weights: try stored("weights").floats().map { Double($0) }, mask: try tensor("mask"))
    }

    func computeGradients(step: Int, scale: Double) throws -> StepMeasure {
        let loss = try unet.addGradients(of: batch(step), schedule: schedule, minSNRGamma: 5, factor: 0.5, scale: scale)
        return StepMeasure(loss: loss, images: 2)
    }

    func samples(ofStep step: Int) -> [String] { [] }
    func validationLoss() throws -> Double? { nil }
    func makeSamples(step: Int) throws -> [SampleResult]? { [] }
    func writeAdapter(to folder: String) throws {}
}

@Suite("Ten steps on latents equal diffusers' and PEFT's")
struct PictureCurveTests {
    /// Losses and gradient norms of ten steps.
    private func curve(_ task: TinyPictureTask, scalesLoss: Bool = false) throws -> [Float] {
        try task.adapt()
        return try withTemporaryFolder { folder in
            let recorder = Recorder()
            var plan = TrainerPlan(
                totalSteps: 10, stepsPerEpoch: 10,
                schedule: LearningRateSchedule(.cosine, warmupSteps: 2, totalSteps: 10), maxGradientNorm: 0.05,
                saveSteps: 0, saveTotalLimit: 0)
            plan.scalesLoss = scalesLoss
            let optimizer = try AdamW(task.groups, betas: (0.9, 0.98), weightDecay: 0.05)
            let checkpoints = Checkpoints(folder: folder)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            _ = try Trainer(plan, optimizer: optimizer, checkpoints: checkpoints, listeners: [recorder])
                .train(task, from: 0)
            return recorder.events.filter { $0.type == .step }
                .flatMap { [$0.loss, $0.gradientNorm].map { Float($0 ?? .nan) } }
        }
    }

    @Test("losses and gradient norms, two learning rates, min-SNR, masks and weights")
    func tenSteps() throws {
        let task = try TinyPictureTask()
        let measured = try curve(task)
        expectClose(actual: measured, expected: try task.golden.tensor("curve").floats(), atol: 0, rtol: 2e-5)
    }

    @Test("layers computed twice give the same curve")
    func recomputed() throws {
        let task = try TinyPictureTask(recomputes: true)
        let measured = try curve(task)
        expectClose(actual: measured, expected: try task.golden.tensor("curve").floats(), atol: 0, rtol: 2e-5)
    }

    @Test("losses that are scaled give the same curve")
    func scaled() throws {
        let task = try TinyPictureTask()
        let measured = try curve(task, scalesLoss: true)
        expectClose(actual: measured, expected: try task.golden.tensor("curve").floats(), atol: 0, rtol: 2e-5)
    }

    @Test("the loss of a model that predicts velocity")
    func velocity() throws {
        let task = try TinyPictureTask()
        var noise = NoiseScheduleConfig()
        noise.prediction = .velocity
        task.schedule = NoiseSchedule(noise)
        let expected = try task.golden.tensor("velocity").floats()[0]
        let loss = try task.unet.loss(task.batch(0), schedule: task.schedule, minSNRGamma: 5).item()
        #expect(abs(loss - Double(expected)) < 1e-5 * Double(expected))
    }
}
