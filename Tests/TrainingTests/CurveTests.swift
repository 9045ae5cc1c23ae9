// Ten steps of training equal those of PEFT with torch's AdamW, clipping and schedule.

import Foundation
import LoRA
import TestSupport
import Testing
import Torch

@testable import Runs
@testable import Training

@Suite("Ten steps equal PEFT's")
struct CurveTests {
    @Test(
        "losses, gradient norms, learning rates and the final adapter, at once and accumulated",
        arguments: ["tied", "mistral", "qwen2", "gguf"].flatMap { model in ["qv", "all"].map { (model, $0) } },
        [false, true]
    )
    func curve(kinds: (String, String), accumulates: Bool) throws {
        try withTemporaryFolder { folder in
            let task = try TinyTask(kinds.0, kinds.1)
            task.accumulates = accumulates
            let run = try TinyRun(task, in: folder)
            #expect(try run.train() == .done)
            let actual = run.recorder.events.filter { $0.type == .step }.flatMap {
                [$0.loss, $0.gradientNorm, $0.learningRate].map { Float($0 ?? .nan) }
            }
            let expected = try task.expected.tensor("steps").floats()
            #expect(expected.count == 30)
            expectClose(actual: actual, expected: expected, atol: 2e-5, rtol: 5e-5, "loss, norm, rate of each step")
            for (key, value) in task.adapters.parameters {
                let final = try task.expected.tensor("final.base_model.model.\(key)").floats()
                expectClose(actual: try value.array(), expected: final, atol: 1e-4, "final \(key)")
            }
        }
    }

    @Test("gradient checkpointing gives the same bytes")
    func recomputed() throws {
        try withTemporaryFolder { folder in
            let runs = try [false, true].map { recomputes in
                let task = try TinyTask("qwen2", "all")
                task.llama.checkpointsGradients = recomputes
                let run = try TinyRun(task, in: folder.appendingPathComponent("\(recomputes)")) { $0.totalSteps = 4 }
                try run.train()
                return try run.files(ofStep: 4)
            }
            #expect(runs[0] == runs[1])
        }
    }
}
