// Adapter folders: written as PEFT writes them, read as PEFT means them, refused in one line otherwise.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Torch

@testable import LoRA
@testable import Models

@Suite("PEFT's adapter folders")
struct PEFTTests {
    private let weights = "adapter_model.safetensors", config = "adapter_config.json"

    @Test(
        "an adapter read and written again has PEFT's bytes, and its configuration PEFT's values",
        arguments: TinyModel.Kind.allCases, TinyAdapter.Kind.allCases)
    func roundTrip(kind: TinyModel.Kind, adapterKind: TinyAdapter.Kind) throws {
        let tiny = try TinyModel(kind)
        let adapter = try TinyAdapter(adapterKind, of: kind, on: tiny)
        try withTemporaryFolder { folder in
            let layers = tiny.llama.modules(of: Linear.self).map(\.path)
            try PEFT.write(adapter.set, base: "llama-\(kind)", layers: layers, to: folder)
            let golden = adapter.folder
            #expect(
                try Data(contentsOf: folder.appendingPathComponent(weights))
                    == Data(contentsOf: golden.appendingPathComponent(weights)))
            let (ours, theirs) = (try json(folder), try json(golden))
            for (key, value) in ours where key != "target_modules" {
                #expect(value.isEqual(theirs[key]), "\(key): \(value), PEFT has \(String(describing: theirs[key]))")
            }
            #expect(Set(ours.keys).isSuperset(of: ["r", "lora_alpha", "use_rslora", "peft_type", "task_type"]))
            // Names that mean the same layers.
            for fields in [ours, theirs] {
                let targets = try #require(fields["target_modules"] as? [String])
                let meant = layers.filter { layer in targets.contains { layer == $0 || layer.hasSuffix(".\($0)") } }
                #expect(meant == adapter.set.entries.map(\.path).sorted { layers.place($0) < layers.place($1) })
            }
        }
    }

    private func json(_ folder: URL) throws -> [String: NSObject] {
        let data = try Data(contentsOf: folder.appendingPathComponent(config))
        return try #require(JSONSerialization.jsonObject(with: data) as? [String: NSObject])
    }

    @Test("fields that change the meaning are refused, others are not read")
    func fields() throws {
        let tiny = try TinyModel(.qwen2)
        func read(_ change: [String: Any]) throws -> LoRASet {
            try withTemporaryFolder { folder in
                let golden = goldens.appendingPathComponent("peft-qwen2-all")
                let copy = folder.appendingPathComponent(weights)
                try FileManager.default.copyItem(at: golden.appendingPathComponent(weights), to: copy)
                let fields = (try json(golden) as [String: Any]).merging(change) { $1 }
                try JSONSerialization.data(withJSONObject: fields).write(to: folder.appendingPathComponent(config))
                return try PEFT.read(folder, for: tiny.llama, on: .cpu)
            }
        }
        #expect(try read([:]).config.scale == 5 / 3.0.squareRoot())
        #expect(try read(["use_rslora": false]).config.scale == 5.0 / 3)
        #expect(try read(["use_rslora": NSNull(), "new_field": [1]]).config.scale == 5.0 / 3)
        #expect(try read(["target_modules": ".*_proj"]).entries.count == 14)
        expectMessage("peft_type is 'IA3', expected 'LORA'") { _ = try read(["peft_type": "IA3"]) }
        expectMessage("DoRA adapters are not read yet") { _ = try read(["use_dora": true]) }
        expectMessage("rank_pattern and alpha_pattern are not read yet") {
            _ = try read(["rank_pattern": ["q_proj": 4]])
        }
        expectMessage("bias is 'all', expected 'none'") { _ = try read(["bias": "all"]) }
        expectMessage("adapter_config.json: r is 0") { _ = try read(["r": 0]) }
        expectMessage("is [3, 64] and [32, 3], expected [4, 64] and [32, 4]") { _ = try read(["r": 4]) }
        expectMessage("adapter_config.json: not a configuration of PEFT's LoRA") {
            _ = try read(["lora_alpha": "high"])
        }
    }

    @Test("an adapter of another model, a missing folder and a damaged file are refused in one line")
    func refusals() throws {
        let tiny = try TinyModel(.qwen2)
        let read = { (folder: URL) in _ = try PEFT.read(folder, for: tiny.llama, on: .cpu) }
        expectMessage("expected [4, 32] and [32, 4]") { try read(goldens.appendingPathComponent("peft-tied-qv")) }
        expectMessage("not found; an adapter is a folder with") { try read(goldens.appendingPathComponent("nothing")) }
        try withTemporaryFolder { folder in
            let golden = goldens.appendingPathComponent("peft-qwen2-all")
            let file = try SafetensorsFile(golden.appendingPathComponent(weights))
            func read(_ rename: (String) -> String?) throws {
                let entries = try file.tensors.values.compactMap { tensor in
                    try rename(tensor.name).map {
                        SafetensorsWriter.Entry(name: $0, shape: tensor.shape, floats: try tensor.floats())
                    }
                }
                try SafetensorsWriter.write(entries, to: folder.appendingPathComponent(weights))
                let (from, to) = (golden.appendingPathComponent(config), folder.appendingPathComponent(config))
                try? FileManager.default.copyItem(at: from, to: to)
                _ = try PEFT.read(folder, for: tiny.llama, on: .cpu)
            }
            expectMessage("layers.7.mlp.down_proj' adapts a layer that this model lacks") {
                try read { $0.replacingOccurrences(of: "layers.1.mlp.down", with: "layers.7.mlp.down") }
            }
            expectMessage("k_proj.lora_B.weight") { try read { $0.contains("1.self_attn.k_proj.lora_B") ? nil : $0 } }
            expectMessage("is not part of a LoRA that is read here") {
                try read { $0.contains("1.self_attn.k_proj.lora_A") ? "base_model.model.lm_head.weight" : $0 }
            }
            expectMessage("no LoRA in it") { try read { _ in nil } }
        }
    }

    @Test("fresh adapters: A within ±1/√inputs, B zero; the same for the same seed, whichever layers are adapted")
    func fresh() throws {
        let tiny = try TinyModel(.tied)
        func inject(_ targets: [String], seed: Int) throws -> [String: [Float]] {
            let config = LoRAConfig(rank: 8, alpha: 16, targets: targets)
            let set = try LoRASet.inject(config, into: tiny.llama, seed: seed, on: .cpu)
            set.detach()
            return try Dictionary(uniqueKeysWithValues: set.parameters.map { ($0.key, try $0.value.array(Float.self)) })
        }
        let (some, all, other) = (
            try inject(["q_proj"], seed: 1), try inject(["all-linear"], seed: 1), try inject(["q_proj"], seed: 2)
        )
        #expect(some.count == 4 && all.count == 28)
        #expect(some.allSatisfy { all[$0.key] == $0.value })
        let key = "model.layers.0.self_attn.q_proj.lora_A.weight"
        let a = try #require(some[key])
        #expect(other[key] != a)
        #expect(all.allSatisfy { key, values in !key.hasSuffix("lora_B.weight") || values.allSatisfy { $0 == 0 } })
        // Uniform within ±1/8: the variance is 1/192.
        #expect(a.allSatisfy { abs($0) <= 0.125 } && a.contains { abs($0) > 0.12 })
        let variance = a.reduce(0) { $0 + $1 * $1 } / Float(a.count)
        #expect(abs(variance * 192 - 1) < 0.15)
    }

    @Test("targets are names, parts of paths or patterns; one that means nothing is an error with the names there are")
    func targets() throws {
        let tiny = try TinyModel(.mistral)
        func count(_ targets: String...) throws -> Int {
            let config = LoRAConfig(rank: 1, alpha: 1, targets: targets)
            let set = try LoRASet.inject(config, into: tiny.llama, seed: 0, on: .cpu)
            set.detach()
            return set.entries.count
        }
        #expect(try count("q_proj") == 2)
        #expect(try count("self_attn") == 8)
        #expect(try count("layers.1") == 7)
        #expect(try count("model.layers.0.*_proj") == 7)
        #expect(try count("*.gate_proj", "gate_proj") == 2)
        #expect(try count("all-linear") == 14)
        for wrong in ["lm_head", "proj", "q_pro*", "query", "", "layers.2"] {
            expectMessage("'\(wrong)' matches no layer of this model; its layers are down_proj, gate_proj, k_proj") {
                _ = try count("q_proj", wrong)
            }
        }
        #expect(tiny.llama.modules(of: Linear.self).allSatisfy { $0.module.adapters.isEmpty })
    }
}

extension [String] {
    fileprivate func place(_ element: String) -> Int { firstIndex(of: element) ?? count }
}

/// Expects an error of one line that contains `part`.
func expectMessage(_ part: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
    do {
        try body()
        Issue.record("no error", sourceLocation: sourceLocation)
    } catch {
        let text = "\(error)"
        #expect(text.contains(part) && !text.contains(where: \.isNewline), sourceLocation: sourceLocation)
    }
}
