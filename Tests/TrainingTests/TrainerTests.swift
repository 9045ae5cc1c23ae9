// The loop: what is saved when, resuming byte for byte, stopping, and numbers that are not finite.

import Formats
import Foundation
import LoRA
import TestSupport
import Testing
import Torch

@testable import Runs
@testable import Training

@Suite("Trainer")
struct TrainerTests {
    /// A run with a checkpoint after every step.
    private func run(_ folder: URL, _ change: (inout TrainerPlan) -> Void = { _ in }) throws -> TinyRun {
        try TinyRun(TinyTask("qwen2", "all"), in: folder) { plan in
            (plan.totalSteps, plan.saveSteps) = (6, 1)
            change(&plan)
        }
    }

    @Test("a run that goes on from any checkpoint ends with the same bytes")
    func resume() throws {
        try withTemporaryFolder { folder in
            let whole = try run(folder.appendingPathComponent("whole"))
            try whole.train()
            let last = try whole.files(ofStep: 6)
            #expect(
                last.keys.sorted() == [
                    "adapter_config.json", "adapter_model.safetensors", "training_state.safetensors",
                ])
            for checkpoint in whole.checkpoints.all where checkpoint.step < 6 {
                let other = folder.appendingPathComponent("from-\(checkpoint.step)")
                try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
                try FileManager.default.copyItem(
                    at: checkpoint.folder, to: other.appendingPathComponent(checkpoint.name))
                let rest = try run(other)
                #expect(try rest.train() == .done)
                #expect(rest.recorder.events.count { $0.type == .step } == 6 - checkpoint.step)
                #expect(try rest.files(ofStep: 6) == last, "from step \(checkpoint.step)")
            }
            #expect(whole.checkpoints.all.map(\.step) == [6, 5, 4, 3, 2, 1])
        }
    }

    @Test("a run that is asked to stop saves the step it did, and goes on to the same bytes")
    func interruption() throws {
        try withTemporaryFolder { folder in
            let whole = try run(folder.appendingPathComponent("whole"))
            try whole.train()
            let other = folder.appendingPathComponent("stopped")
            let stopped = try run(other) { $0.saveSteps = 0 }
            stopped.recorder.stopsAfter = 3
            #expect(try stopped.train() == .interrupted)
            #expect(stopped.checkpoints.all.map(\.step) == [3])
            #expect(stopped.recorder.events.last?.type == .checkpoint)
            let rest = try run(other) { $0.saveSteps = 0 }
            #expect(try rest.train() == .done)
            #expect(try rest.files(ofStep: 6) == whole.files(ofStep: 6))
        }
    }

    @Test("a loss that is not a number names its samples, and earlier checkpoints stay")
    func lossNotFinite() throws {
        try withTemporaryFolder { folder in
            let run = try run(folder)
            run.task.spoiltLoss = 3
            #expect(
                message { try run.train() }?.hasPrefix(
                    "step 4: the loss is not a finite number; the checkpoints before it are kept. "
                        + "Its samples: data.jsonl:4, data.jsonl:2. Try a lower learning_rate") == true)
            #expect(run.checkpoints.all.map(\.step) == [3, 2, 1])
            run.task.spoiltLoss = nil
        }
    }

    @Test("a run that is stopped before its last samples were made makes them when it goes on")
    func samplesInterrupted() throws {
        try withTemporaryFolder { folder in
            let first = try run(folder) { $0.totalSteps = 2 }
            first.task.stopsBeforeSamples = true
            #expect(try first.train() == .interrupted)
            #expect(first.checkpoints.newest?.step == 2)
            let second = try run(folder) { $0.totalSteps = 2 }
            #expect(try second.train() == .done)
            #expect(second.recorder.events.map(\.type) == [.start, .sample])
        }
    }

    @Test("a run that is stopped while samples are made on the way keeps the steps it did")
    func samplesInterruptedOnTheWay() throws {
        try withTemporaryFolder { folder in
            let run = try run(folder) { ($0.saveSteps, $0.sampleSteps) = (0, 2) }
            run.task.stopsBeforeSamples = true
            #expect(try run.train() == .interrupted)
            #expect(run.checkpoints.all.map(\.step) == [2])
        }
    }

    @Test("a gradient that is infinite is told before it reaches the adapter")
    func gradientNotFinite() throws {
        try withTemporaryFolder { folder in
            let run = try run(folder)
            run.task.spoiltGradient = 1
            #expect(message { try run.train() }?.hasPrefix("step 2: the gradient is not a finite number") == true)
            let parameters = try run.task.adapters.parameters.flatMap { try $0.value.array(Float.self) }
            #expect(!parameters.contains { !$0.isFinite })
            let kept = try SafetensorsFile(run.checkpoints.all[0].folder.appendingPathComponent(PEFT.weightsName))
            #expect(try kept.tensors.values.flatMap { try $0.floats() }.sorted() == parameters.sorted())
        }
    }

    @Test("checkpoints, validation and samples come when the plan says, and at the end")
    func events() throws {
        try withTemporaryFolder { folder in
            let run = try run(folder) { plan in
                (plan.totalSteps, plan.saveSteps, plan.validationSteps, plan.sampleSteps) = (5, 2, 3, 4)
                plan.saveTotalLimit = 2
            }
            try run.train()
            #expect(
                run.recorder.events.map { "\($0.type) \($0.step) \($0.epoch) \($0.path ?? $0.name ?? "")" } == [
                    "start 0 0.0 ", "sample 0 0.0 base", "step 1 0.5 ", "step 2 1.0 ",
                    "checkpoint 2 1.0 checkpoints/step-000002", "step 3 1.5 ", "validation 3 1.5 ", "step 4 2.0 ",
                    "checkpoint 4 2.0 checkpoints/step-000004", "sample 4 2.0 adapter", "step 5 2.5 ",
                    "validation 5 2.5 ",
                    "checkpoint 5 2.5 checkpoints/step-000005", "sample 5 2.5 adapter",
                ])
            #expect(run.checkpoints.all.map(\.step) == [5, 4])
            #expect(run.recorder.events.first { $0.type == .validation }?.loss == 1.5)
            #expect(run.recorder.events.filter { $0.type == .step }.allSatisfy { ($0.tokensPerSecond ?? 0) > 0 })
        }
    }

    @Test("a state of another step, of another adapter or cut short is refused with its path")
    func damagedState() throws {
        try withTemporaryFolder { folder in
            let whole = try run(folder) { $0.totalSteps = 1 }
            try whole.train()
            let first = folder.appendingPathComponent("step-000001")
            try FileManager.default.copyItem(at: first, to: folder.appendingPathComponent("step-000002"))
            #expect(
                message { _ = try run(folder).trainer.restore() }?.contains(
                    "training_state.safetensors: is of step 1, expected 2; remove this checkpoint's folder") == true)
            try FileManager.default.removeItem(at: folder.appendingPathComponent("step-000002"))
            let other = try TinyRun(TinyTask("tied", "all"), in: folder)
            #expect(
                message { _ = try other.trainer.restore() }?.contains("lora_A.weight' is [3, 64], expected [3, 96]")
                    == true)
            let state = first.appendingPathComponent("training_state.safetensors")
            try Data(contentsOf: state).prefix(5000).write(to: state)
            #expect(message { _ = try run(folder).trainer.restore() }?.contains(state.lastPathComponent) == true)
        }
    }

    /// What `body` says when it throws, if it is one line.
    private func message(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)".contains(where: \.isNewline) ? nil : "\(error)"
        }
    }

    @Test("a scaled loss that overflows passes the step over, halves the factor, and goes on from a checkpoint alike")
    func overflow() throws {
        try withTemporaryFolder { folder in
            let whole = try run(folder.appendingPathComponent("whole")) { $0.scalesLoss = true }
            whole.task.largestScale = 20_000
            #expect(try whole.train() == .done)
            // 65,536 and 32,768 are too large.
            let steps = whole.recorder.events.filter { $0.type == .step }
            #expect(steps.map { $0.gradientNorm != nil } == [false, false, true, true, true, true])
            let last = try #require(whole.checkpoints.newest)
            let state = try SafetensorsFile(last.folder.appendingPathComponent("training_state.safetensors"))
            #expect(state.metadata["loss_scale"] == "16384.0" && state.metadata["loss_scale_steps"] == "4")

            let checkpoint = try #require(whole.checkpoints.all.first { $0.step == 3 })
            let other = folder.appendingPathComponent("rest")
            try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
            try FileManager.default.copyItem(at: checkpoint.folder, to: other.appendingPathComponent(checkpoint.name))
            let rest = try run(other) { $0.scalesLoss = true }
            rest.task.largestScale = 20_000
            try rest.train()
            #expect(try rest.files(ofStep: 6) == whole.files(ofStep: 6))
        }
    }

    @Test("the factor doubles after 2,000 steps without overflow")
    func growth() {
        var scale = LossScale()
        for _ in 0..<1999 { scale.update(isFinite: true) }
        #expect(scale.factor == 65_536)
        scale.update(isFinite: true)
        #expect(scale.factor == 131_072 && scale.steady == 0)
        scale.update(isFinite: false)
        #expect(scale.factor == 65_536)
        #expect(LossScale(scale.metadata) == scale)
        #expect(LossScale(["loss_scale": "nan", "loss_scale_steps": "1"]) == nil)
    }
}
