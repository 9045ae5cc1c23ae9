// `lora train` and `lora generate` from end to end on a tiny model, and what they say of bad input.

import Foundation
import TestSupport
import Testing

@Suite("lora train")
struct TrainTests {
    @Test("leaves a whole run folder, and a second time changes nothing")
    func wholeRun() throws {
        try withTinyRun("samples: {prompts: [What is 1?], max_tokens: 4}\nvalidation_split: 0.2") { folder in
            let result = try lora("train", "run.yaml", in: folder)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.isEmpty)
            let run = folder.appendingPathComponent("runs/tiny")
            for name in [
                "config.yaml", "facts.json", "events.jsonl", "README.md", "logs/train.log", "logs/training_curve.svg",
                "checkpoints/adapter_model.safetensors", "checkpoints/adapter_config.json",
                "checkpoints/tokenizer.json", "checkpoints/tokenizer_config.json",
            ] {
                #expect(FileManager.default.fileExists(atPath: run.appendingPathComponent(name).path), "\(name)")
            }
            let events = try text("events.jsonl", in: run)
            for type in ["start", "step", "validation", "checkpoint", "sample", "finish"] {
                #expect(events.contains("\"type\":\"\(type)\""), "\(type)")
            }
            let report = try text("README.md", in: run)
            #expect(report.contains("> **Done.**"))
            #expect(report.contains("What is 1?"))
            let again = try lora("train", "run.yaml", in: folder)
            #expect(again.status == 0 && again.errors.contains("this run is done"))
            #expect(try text("events.jsonl", in: run) == events)
        }
    }

    @Test("killed and started again, ends with the bytes of a run that was not", arguments: [1, 2])
    func resume(afterCheckpoints count: Int) throws {
        try withTinyRun("max_steps: 180\nsave_steps: 9\nlora_dropout: 0.1\nsave_total_limit: 0") { folder in
            #expect(try lora("train", "run.yaml", "--set", "output_dir=whole", in: folder).status == 0)
            try killWhenSaved(count, in: folder, run: "runs/tiny")
            let result = try lora("train", "run.yaml", in: folder)
            #expect(result.status == 0 && result.errors.contains("going on after step"), "\(result.errors)")
            let name = "checkpoints/adapter_model.safetensors"
            #expect(
                try Data(contentsOf: folder.appendingPathComponent("whole/\(name)"))
                    == Data(contentsOf: folder.appendingPathComponent("runs/tiny/\(name)")))
            let events = try text("runs/tiny/events.jsonl", in: folder).split(separator: "\n")
            #expect(events.filter { $0.contains("\"type\":\"step\"") }.count == 180)
        }
    }

    @Test("interrupted, saves, reports and says how to go on")
    func interrupt() throws {
        try withTinyRun("max_steps: 20000\nsave_steps: 0") { folder in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: try programPath())
            process.arguments = ["train", "run.yaml"]
            process.currentDirectoryURL = folder
            process.standardError = FileHandle.nullDevice
            try process.run()
            let events = folder.appendingPathComponent("runs/tiny/events.jsonl")
            while process.isRunning, (try? Data(contentsOf: events).count) ?? 0 < 2000 { sched_yield() }
            kill(process.processIdentifier, SIGINT)
            process.waitUntilExit()
            #expect(process.terminationStatus == 130)
            let run = folder.appendingPathComponent("runs/tiny")
            #expect(try text("README.md", in: run).contains("nterrupted"))
            #expect(
                FileManager.default.fileExists(
                    atPath: run.appendingPathComponent("checkpoints/adapter_model.safetensors").path))
        }
    }

    @Test("the adapter changes answers as strongly as it is told to")
    func generate() throws {
        try withTinyRun("max_steps: 120\nlearning_rate: 0.02\ntarget_modules: all-linear") { folder in
            #expect(try lora("train", "run.yaml", in: folder).status == 0)
            func answer(_ adapters: String...) throws -> String {
                let base = [
                    "generate", "--base", try tinyModel(folder), "--prompt", "What is 3?", "--max-tokens", "24",
                ]
                let result = try lora(base + adapters.flatMap { ["--adapter", $0] }, in: folder)
                #expect(result.status == 0, "\(result.errors)")
                return result.output
            }
            let plain = try answer()
            let adapted = try answer("runs/tiny")
            #expect(adapted != plain)
            #expect(try answer("runs/tiny:0") == plain)
            #expect(try answer("runs/tiny:0.25", "runs/tiny/checkpoints:0.75") == adapted)
        }
    }

    private func tinyModel(_ folder: URL) throws -> String {
        let line = try text("run.yaml", in: folder).split(separator: "\n").first { $0.hasPrefix("base_model: ") }
        return String(try #require(line).dropFirst("base_model: ".count))
    }

    private func text(_ name: String, in folder: URL) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }
}

@Suite("lora train on bad input")
struct BadInputTests {
    /// Runs with overrides and expects one line on standard error that holds every one of `parts`.
    private func expectRefusal(
        _ overrides: [String], status: Int32 = 1, _ parts: [String], in folder: URL,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let result = try lora(["train", "run.yaml"] + overrides.flatMap { ["--set", $0] }, in: folder)
        #expect(result.status == status, "\(result.errors)", sourceLocation: location)
        let line = String(result.errorLines.last ?? "")
        for part in parts { #expect(line.contains(part), "\(line)", sourceLocation: location) }
    }

    @Test("names the file, the place and what to do")
    func data() throws {
        try withTinyRun { folder in
            try write("", to: "empty.jsonl", in: folder)
            try expectRefusal(["train_data=empty.jsonl"], ["empty.jsonl", "empty"], in: folder)
            try write("{\"instruction\": \"a\", \"output\": \"b\"}\n{\"instruction\"\n", to: "cut.jsonl", in: folder)
            try expectRefusal(["train_data=cut.jsonl"], ["cut.jsonl:2", "not JSON"], in: folder)
            try expectRefusal(
                ["max_length=8", "max_length_policy=drop"], ["longer than max_length 8", "raise max_length"], in: folder
            )
        }
    }

    @Test("a damaged or foreign model is told apart")
    func model() throws {
        try withTinyRun { folder in
            let tiny = goldens.appendingPathComponent("tiny-chat")
            let copy = folder.appendingPathComponent("model")
            try FileManager.default.copyItem(at: tiny, to: copy)
            let weights = copy.appendingPathComponent("model.safetensors")
            let whole = try Data(contentsOf: weights)
            try whole.prefix(30_000).write(to: weights)
            try expectRefusal(["base_model=model"], ["model.safetensors", "cut off"], in: folder)
            try (Data([255, 255, 255, 255, 255, 255, 255, 127]) + whole.dropFirst(8)).write(to: weights)
            try expectRefusal(["base_model=model"], ["model.safetensors", "header"], in: folder)
            try whole.write(to: weights)
            let config = copy.appendingPathComponent("config.json")
            let text = try String(contentsOf: config, encoding: .utf8)
            try Data(text.replacing("\"llama\"", with: "\"bert\"").utf8).write(to: config)
            try expectRefusal(["base_model=model"], ["config.json", "'bert' is not supported"], in: folder)
            try Data(text.replacing("\"hidden_size\": 32", with: "\"hidden_size\": 64").utf8).write(to: config)
            try expectRefusal(["base_model=model"], ["expected [384, 64]"], in: folder)
            try write("GGUF\u{3}\0\0\0", to: "short.gguf", in: folder)
            try expectRefusal(["base_model=short.gguf"], ["short.gguf", "cut off"], in: folder)
        }
    }

    @Test("targets that match nothing, a loss that is no number, a folder of another run")
    func run() throws {
        try withTinyRun { folder in
            try expectRefusal(["target_modules=nothing"], ["'nothing' matches no layer", "q_proj"], in: folder)
            try expectRefusal(
                ["learning_rate=1e30", "warmup_ratio=0", "epochs=4"],
                ["not a finite number", "data.jsonl:", "learning_rate"], in: folder)
            try expectRefusal(
                ["lora_rank=4"], status: 2, ["holds another run", "lora_rank was 8, is 4", "nothing was changed"],
                in: folder)
            try expectRefusal(["output_dir=."], status: 2, ["no run", "nothing was changed"], in: folder)
            try expectRefusal(["device=cuda:x"], status: 2, ["device"], in: folder)
        }
    }
}
