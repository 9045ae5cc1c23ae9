// The whole ladder on a real model. Runs only where scripts/parity/smollm2.sh names the folder with PEFT's results.

import Formats
import Foundation
import LoRA
import NN
import TestSupport
import Testing
import Torch

@testable import Training

private let variables = ProcessInfo.processInfo.environment

@Suite("SmolLM2 equals transformers and PEFT", .enabled(if: variables["LORA_PARITY"] != nil), .serialized)
struct RealModelTests {
    private let base = URL(fileURLWithPath: variables["LORA_PARITY_BASE"] ?? "")
    private let folder = URL(fileURLWithPath: variables["LORA_PARITY"] ?? "", isDirectory: true)

    private func task(_ adapter: String) throws -> TinyTask {
        try TinyTask(base: base, expected: folder, adapter: folder.appendingPathComponent(adapter))
    }

    @Test("logits within 2e-4, with and without a PEFT adapter", arguments: ["qv", "all"])
    func logits(adapter: String) throws {
        let task = try task(adapter)
        let adapted = try largestDifference(task.logits(), task.expected.tensor("logits"))
        let given = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        let plain = try task.adapters.withoutAdapters { try largestDifference(task.logits(), given.tensor("logits")) }
        print("\(adapter): logits differ by \(plain) at most, with PEFT's adapter by \(adapted)")
        #expect(plain < 2e-4)
        #expect(adapted < 2e-4)
    }

    @Test("loss within 1e-5, every gradient within 1e-4 relative", arguments: ["qv", "all"])
    func gradients(adapter: String) throws {
        let task = try task(adapter)
        let loss = try abs(Float(task.lossOfAll()) - task.expected.tensor("loss").floats()[0])
        var worst: (key: String, value: Float) = ("", 0)
        for (key, value) in task.adapters.parameters {
            let expected = try task.expected.tensor("gradient.base_model.model.\(key)")
            let norm = try expected.floats().reduce(0) { $0 + $1 * $1 }.squareRoot()
            let actual: [Float] = try value.gradient().array()
            let distance = try zip(actual, expected.floats()).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            let relative = norm > 0 ? distance.squareRoot() / norm : distance.squareRoot()
            if !(relative <= worst.value) { worst = (key, relative) }
        }
        let count = task.adapters.parameters.count
        print(
            "\(adapter): loss differs by \(loss), \(count) gradients by \(worst.value) of their norm at most (\(worst.key))"
        )
        #expect(loss < 1e-5)
        #expect(worst.value < 1e-4)
    }

    @Test("ten steps within 1e-4; the adapter is left for PEFT to load", arguments: ["qv", "all"])
    func curve(adapter: String) throws {
        let task = try task(adapter)
        let out = folder.appendingPathComponent("ours-\(adapter)", isDirectory: true)
        try? FileManager.default.removeItem(at: out)
        try FileManager.default.createDirectory(at: out, withIntermediateDirectories: true)
        let run = try TinyRun(task, in: out, learningRate: 1e-3)
        try run.train()
        let steps = run.recorder.events.filter { $0.type == .step }
        let expected = try task.expected.tensor("steps").floats()
        let worst = steps.enumerated().map { abs(Float($1.loss ?? .nan) - expected[3 * $0]) }.max() ?? .nan
        print("\(adapter): the losses of ten steps differ by \(worst) at most")
        #expect(worst < 1e-4)
        try task.writeAdapter(to: out.path)
        let logits = try task.logits()
        let entry = SafetensorsWriter.Entry(name: "logits", shape: logits.shape, floats: try logits.array())
        try SafetensorsWriter.write([entry], to: out.appendingPathComponent("logits.safetensors"))
    }

    private func largestDifference(_ actual: Tensor, _ expected: StoredTensor) throws -> Float {
        #expect(actual.shape == expected.shape)
        return try zip(actual.array(Float.self), expected.floats()).reduce(0) { largest, pair in
            let difference = abs(pair.0 - pair.1)
            return difference.isNaN ? .infinity : max(largest, difference)
        }
    }
}
