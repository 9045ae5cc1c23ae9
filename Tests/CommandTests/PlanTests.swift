// `lora plan`, on a model of two tiny layers: what it says must be what the run then does.

import Foundation
import TestSupport
import Testing

@Suite("lora plan")
struct PlanTests {
    private func plan(_ folder: URL, _ overrides: [String] = []) throws -> [String: Any] {
        let result = try lora(["plan", "run.yaml", "--json"] + overrides.flatMap { ["--set", $0] }, in: folder)
        try #require(result.status == 0, "\(result.errors)")
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return try #require(object as? [String: Any])
    }

    private func number(_ plan: [String: Any], _ part: String, _ key: String) throws -> Double {
        let values = try #require(plan[part] as? [String: Any])
        return try #require(values[key] as? NSNumber).doubleValue
    }

    @Test("steps, samples and parameters are counted exactly")
    func counts() throws {
        try withTinyRun("lora_rank: 4\ntarget_modules: [q_proj, down_proj]") { folder in
            let plan = try plan(folder, ["epochs=3"])
            #expect(try number(plan, "steps", "total") == 9)
            #expect(try number(plan, "steps", "per_epoch") == 3)
            #expect(try number(plan, "data", "samples") == 6)
            // Two layers: q_proj 32 → 32 and down_proj 64 → 32, at rank 4.
            #expect(try number(plan, "adapter", "parameters") == Double(2 * 4 * (64 + 96)))
            let adapter = try #require(plan["adapter"] as? [String: Any])
            let modules = try #require(adapter["modules"] as? [[String: Any]])
            #expect(modules.map { $0["module"] as? String } == ["q_proj", "down_proj"])
            #expect(modules.map { $0["layers"] as? Int } == [2, 2])
        }
    }

    @Test("gradient checkpointing and smaller batches need less memory")
    func memory() throws {
        try withTinyRun { folder in
            let plain = try number(try plan(folder), "memory", "activations")
            let checkpointed = try number(try plan(folder, ["gradient_checkpointing=true"]), "memory", "activations")
            let single = try number(try plan(folder, ["batch_size=1"]), "memory", "activations")
            let padded = try number(try plan(folder, ["packing=false"]), "memory", "activations")
            #expect(checkpointed < plain)
            #expect(single < plain)
            #expect(padded >= plain)
            #expect(try number(try plan(folder), "memory", "activations_with_checkpointing") == checkpointed)
        }
    }

    @Test("the plan names every part, fits a terminal, and writes nothing")
    func text() throws {
        try withTinyRun("target_modules: [all-linear]") { folder in
            let result = try lora("plan", "run.yaml", in: folder)
            #expect(result.status == 0)
            #expect(result.errors.isEmpty)
            let titles = ["base", "data", "steps", "tokens", "adapter", "memory", "time", "learning", "files"]
            for title in titles { #expect("\n\(result.output)".contains("\n  \(title) "), "\(title)") }
            #expect(result.output.split(separator: "\n").count <= 40)
            #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("runs").path))
        }
    }

    @Test("the run then takes the planned steps and writes the planned files")
    func agreesWithTraining() throws {
        try withTinyRun("save_steps: 1\nlogging_steps: 1") { folder in
            let plan = try plan(folder)
            let run = try lora("train", "run.yaml", in: folder)
            try #require(run.status == 0, "\(run.errors)")
            let output = folder.appendingPathComponent("runs/tiny")
            let events = try String(contentsOf: output.appendingPathComponent("events.jsonl"), encoding: .utf8)
            let steps = events.split(separator: "\n").filter { $0.contains(#""type":"step""#) }
            #expect(Double(steps.count) == (try number(plan, "steps", "total")))
            let files = try #require(plan["files"] as? [[String: Any]])
            let named = files.compactMap { $0["path"] as? String }.flatMap { $0.split(separator: " ") }
            for path in named where path.contains(".") && !path.contains("*") && path.contains(where: \.isLetter) {
                let name = path.trimmingCharacters(in: CharacterSet(charactersIn: ","))
                guard !name.hasPrefix("."), !name.hasSuffix(".png") else { continue }
                let url = output.appendingPathComponent(name)
                #expect(FileManager.default.fileExists(atPath: url.path), "\(name)")
            }
            let adapter = output.appendingPathComponent("checkpoints/adapter_model.safetensors")
            let size = try #require(FileManager.default.attributesOfItem(atPath: adapter.path)[.size] as? Int)
            let planned = try #require(files.first?["bytes"] as? Int)
            #expect(abs(size - planned) < 600)
        }
    }

    @Test("a target that matches nothing fails with the names there are")
    func noTarget() throws {
        try withTinyRun("target_modules: [query]") { folder in
            let result = try lora("plan", "run.yaml", in: folder)
            #expect(result.status == 1)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.contains("'query'") && result.errors.contains("q_proj"))
        }
    }
}
