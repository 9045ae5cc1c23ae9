// A made-up run whose numbers are the same on every machine.

import Foundation
import TestSupport
import Testing

@testable import Reports
@testable import Runs

enum SampleRun {
    static let config: [(key: String, value: String)] = [
        ("base_model", "models/SmolLM2-135M-Instruct.Q4_1.gguf"), ("train_data", "examples/helpdesk.jsonl"),
        ("output_dir", "output/helpdesk"), ("lora_rank", "16"), ("lora_alpha", "32"), ("batch_size", "4"),
        ("gradient_accumulation_steps", "2"), ("learning_rate", "0.002"), ("epochs", "3"), ("max_length", "256"),
        ("seed", "42"), ("lr_scheduler", "cosine"),
    ]

    static var facts: RunFacts {
        var facts = RunFacts(command: "./lora train examples/helpdesk.yaml", identity: hash("7"))
        facts.machine = MachineFacts(
            device: "CPU, 2 threads: Example 9000", system: "Linux x86_64", program: "lora 0.1.0",
            engine: "libtorch 2.11.0", dtype: "float32")
        facts.base = BaseFacts(
            name: "SmolLM2 135M Instruct", architecture: "llama", parameters: 134_515_008, storage: "Q4_1 + Q8_0",
            files: [FileFact(path: "models/SmolLM2-135M-Instruct.Q4_1.gguf", bytes: 98_000_000, sha256: hash("a"))])
        facts.data = DataFacts(
            format: "prompt/completion",
            files: [FileFact(path: "examples/helpdesk.jsonl", bytes: 48_123, sha256: hash("b"))], samples: 208,
            tokens: 14_794, supervisedTokens: 6_628, shortest: 44, median: 70, longest: 107, truncated: 0, split: 0,
            dropped: 2, warnings: ["examples/helpdesk.jsonl:12: 300 tokens are more than max_length 256; dropped"])
        facts.adapter = AdapterFacts(modules: ["v_proj": 30, "q_proj": 30], parameters: 921_600, scale: 2)
        (facts.totalSteps, facts.stepsPerEpoch) = (30, 10)
        (facts.seconds, facts.peakMemoryMib, facts.state) = (151, 431, "done")
        facts.outputs = [
            FileFact(path: "checkpoints/adapter_model.safetensors", bytes: 3_694_000, sha256: hash("c")),
            FileFact(path: "checkpoints/tokenizer.json", bytes: 2_104_556, sha256: hash("d")),
        ]
        return facts
    }

    static let prompts = ["What is LoRA?", "Show | me\n`code`"]
    static let before = [
        "LoRa is a *radio* for $5 or $6, see [this](http://example.com) & <b>that</b>.",
        "1. **Check**:\n\n   - run `nvidia-smi | grep MiB`\n```python\ndef f(x):\n    return x | 1\n```\n",
    ]
    static let after = ["LoRA means Low-Rank Adaptation.", ""]

    /// The first steps of a run of 30.
    static func events(steps: Int) -> [TrainingEvent] {
        var events = [TrainingEvent(.start, step: 0, epoch: 0, time: 1000)]
        for index in prompts.indices { events.append(sample(0, "base", prompts[index], before[index])) }
        for step in stride(from: 1, through: steps, by: 1) {
            events.append(self.step(step))
            if step % 5 == 0 { events.append(validation(step)) }
            if step % 10 == 0 { events.append(checkpoint(step)) }
        }
        return events
    }

    static var finished: [TrainingEvent] {
        var end = TrainingEvent(.finish, step: 30, epoch: 3, time: 1061)
        end.message = "done"
        let samples = prompts.indices.map { sample(30, "step-000030", prompts[$0], after[$0]) }
        return events(steps: 30) + samples + [end]
    }

    static func step(_ step: Int) -> TrainingEvent {
        var event = TrainingEvent(.step, step: step, epoch: Double(step) / 10, time: 1000 + 2 * Double(step))
        event.loss = 0.5 + 2.5 / Double(step) + Double(step * 7 % 5) * 0.03
        event.learningRate = step <= 3 ? 0.002 * Double(step) / 3 : 0.002 * Double(30 - step) / 27
        event.gradientNorm = 1.25
        event.tokensPerSecond = 400 + Double(step % 7)
        event.stepSeconds = 2
        event.memoryMib = 400 + Double(step)
        return event
    }

    static func validation(_ step: Int) -> TrainingEvent {
        var event = TrainingEvent(.validation, step: step, epoch: Double(step) / 10, time: 1000 + 2 * Double(step))
        event.loss = 0.8 + 2 / Double(step)
        return event
    }

    static func checkpoint(_ step: Int) -> TrainingEvent {
        var event = TrainingEvent(.checkpoint, step: step, epoch: Double(step) / 10, time: 1000 + 2 * Double(step))
        event.path = "checkpoints/step-0000\(step)"
        return event
    }

    static func sample(_ step: Int, _ name: String, _ prompt: String, _ text: String) -> TrainingEvent {
        var event = TrainingEvent(.sample, step: step, epoch: Double(step) / 10, time: 1000 + 2 * Double(step))
        (event.name, event.prompt, event.text) = (name, prompt, text)
        return event
    }

    static func hash(_ digit: Character) -> String { String(repeating: digit, count: 64) }
}

/// Compares the whole text with `Tests/Goldens/reports/<name>`. With `RECORD_SNAPSHOTS=1` the file is written instead.
func expectSnapshot(_ text: String, _ name: String) throws {
    let file = goldens.appendingPathComponent("reports").appendingPathComponent(name)
    if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" { try Data(text.utf8).write(to: file) }
    let expected = try String(contentsOf: file, encoding: .utf8)
    guard text != expected else { return }
    let (got, wanted) = (text.components(separatedBy: "\n"), expected.components(separatedBy: "\n"))
    let line = zip(got, wanted).enumerated().first { $1.0 != $1.1 }?.offset ?? min(got.count, wanted.count)
    let (actual, golden) = (line < got.count ? got[line] : "<end>", line < wanted.count ? wanted[line] : "<end>")
    Issue.record("\(name):\(line + 1): expected '\(golden)', got '\(actual)'")
}
