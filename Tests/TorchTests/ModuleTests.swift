// Modules: keys from property names, strict loading, layers as their operators.

import Formats
import Foundation
import TestSupport
import Testing
import Torch

@testable import NN

private final class Block: Module {
    let selfAttn: Linear
    let inputLayernorm: RMSNorm
    let denseHTo4h: Linear
    let absent: Linear?
    let present: Linear?
    let size = 3
    override class var keys: [String: String] { ["denseHTo4h": "dense_h_to_4h"] }

    override init() {
        selfAttn = Linear(4, 4, bias: true)
        inputLayernorm = RMSNorm(4, epsilon: 1e-5)
        denseHTo4h = Linear(4, 8, bias: false)
        absent = nil
        present = Linear(8, 4, bias: false)
    }
}

private class Base: Module {
    let embedTokens = Embedding(6, 4)
    let layers = [Block(), Block()]
}

private final class Whole: Base {
    let scale = Parameter(2, 3)
}

@Suite("Modules")
struct ModuleTests {
    private let keys =
        ["embed_tokens.weight"]
        + (0..<2).flatMap { layer in
            ["self_attn.weight", "self_attn.bias", "input_layernorm.weight", "dense_h_to_4h.weight", "present.weight"]
                .map { "layers.\(layer).\($0)" }
        }

    /// A file with noise for every slot of `model`, after `change` has had its way with the entries.
    private func stored(
        _ model: Module, _ folder: URL, change: (inout [String: [Int]]) -> Void = { _ in }
    ) throws -> StoredModel {
        var shapes = Dictionary(uniqueKeysWithValues: model.slots().map { ($0.key, $0.slot.shape) })
        change(&shapes)
        let entries = shapes.map { key, shape in
            let count = shape.reduce(1, *)
            return SafetensorsWriter.Entry(name: key, shape: shape, floats: (0..<count).map { Float($0 % 7) / 7 })
        }
        let url = folder.appendingPathComponent("model.safetensors")
        try SafetensorsWriter.write(entries, to: url)
        let sources = try SafetensorsFile(url).tensors.mapValues { WeightSource($0) }
        return StoredModel(name: "model.safetensors", sources: sources)
    }

    @Test("keys follow from property names, inherited ones first or last, lists by number, absent parts left out")
    func derivedKeys() {
        #expect(Set(Whole().slots().map(\.key)) == Set(keys + ["scale"]))
        #expect(Base().slots().map(\.key) == keys)
        #expect(Base().slots().map(\.slot.shape).prefix(4) == [[6, 4], [4, 4], [4], [4]])
        #expect(Base().slots(prefix: "model").first?.key == "model.embed_tokens.weight")
        let paths = Whole().modules(of: Linear.self).map(\.path)
        #expect(paths.count == 6 && paths.first == "layers.0.self_attn" && paths.last == "layers.1.present")
    }

    @Test(
        "property names turn into snake case",
        arguments: [
            ("qProj", "q_proj"), ("weight", "weight"), ("inputLayernorm", "input_layernorm"), ("loraA", "lora_a"),
        ])
    func snakeCase(_ name: String, _ key: String) { #expect(name.snakeCased == key) }

    @Test("a checkpoint that fits fills every slot")
    func loading() throws {
        try withTemporaryFolder { folder in
            let model = Whole()
            try stored(model, folder).load(into: model, on: Placement(.cpu, .float32))
            #expect(try model.scale.value.array() == (0..<6).map { Float($0 % 7) / 7 })
            let weight = model.layers[1].selfAttn.weight.stored
            #expect(weight.ggmlType == nil || weight.ggmlType == 0)
            #expect(try expanded(weight).array() == (0..<16).map { Float($0 % 7) / 7 })
            #expect(try model.embedTokens(Tensor([5, 0])).shape == [2, 4])
        }
    }

    @Test("missing, unexpected and misshapen tensors are all in one message")
    func mismatch() throws {
        try withTemporaryFolder { folder in
            let model = Whole()
            let file = try stored(model, folder) { shapes in
                shapes["scale"] = nil
                shapes["layers.0.self_attn.bias"] = [5]
                shapes["layers.1.present.weight"] = [8, 4]
                shapes["lm_head.weight"] = [1]
            }
            let text = message { try file.load(into: model, on: Placement(.cpu, .float32)) } ?? ""
            #expect(text.hasPrefix("model.safetensors: does not fit the model it says it is: "))
            for part in [
                "missing 'scale' [2, 3]", "'layers.0.self_attn.bias' is [5], expected [4]",
                "'layers.1.present.weight' is [8, 4], expected [4, 8]", "unexpected 'lm_head.weight'",
            ] { #expect(text.contains(part), "\(text)") }
            #expect(text.hasSuffix("; is the download complete?") && !text.contains("\n"))
        }
    }

    @Test("of many mismatches the first are listed and the others counted")
    func manyMismatches() throws {
        let text = message {
            try StoredModel(name: "x", sources: [:]).load(into: Whole(), on: Placement(.cpu, .float32))
        }
        #expect(text?.contains("missing 'embed_tokens.weight' [6, 4]; ") == true)
        #expect(text?.contains("; and 4 more; ") == true)
    }

    @Test("a file whose weights are of a type that cannot be used is refused by name")
    func unusableType() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.safetensors")
            let entry = SafetensorsWriter.Entry(name: "weight", type: .i32, shape: [2, 2], data: Data(count: 16))
            try SafetensorsWriter.write([entry], to: url)
            let source = WeightSource(try SafetensorsFile(url).tensor("weight"))
            let text = message { try Weights(2, 2).fill(source, on: Placement(.cpu, .float32)) }
            #expect(text?.contains("model.safetensors: weight: stored as ") == true)
        }
    }

    @Test("layers compute what their operators do; joined ones equal them side by side")
    func layers() throws {
        try withTemporaryFolder { folder in
            let model = Block()
            try stored(model, folder).load(into: model, on: Placement(.cpu, .float32))
            let x = try noise(5, 4)
            let attn = try model.selfAttn(x)
            let weight = try expanded(model.selfAttn.weight.stored)
            try expectClose(attn, x.matmul(weight.transpose(0, 1)) + #require(model.selfAttn.bias).value)
            try expectClose(
                joined([model.selfAttn, model.denseHTo4h], x), concatenated([attn, model.denseHTo4h(x)], dim: 1))
            try expectClose(model.selfAttn(x, residual: x), attn + x)
            try expectClose(
                model.inputLayernorm(x), rmsNorm(x, model.inputLayernorm.weight.value, epsilon: 1e-5), atol: 0)
        }
    }

    @Test("an interleaved bias comes out in Hugging Face's order")
    func interleavedBias() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("bias.safetensors")
            try SafetensorsWriter.write([.init(name: "bias", shape: [8], floats: [0, 2, 1, 3, 4, 6, 5, 7])], to: url)
            let bias = Parameter(8)
            let source = WeightSource(try SafetensorsFile(url).tensor("bias"), interleavedHead: 4)
            try bias.fill(source, on: Placement(.cpu, .float32))
            #expect(try bias.value.array() == (0..<8).map(Float.init))
        }
    }

    @Test("rotary tables equal transformers' for every scaling")
    func rotary() throws {
        let golden = try GoldenTensors("kernels-rope_tables")
        let places = try Tensor(Array(stride(from: 0, to: 300, by: 23)))
        let scalings: [(String, RotaryScaling)] = [
            ("none", .none), ("linear", .linear(factor: 4)),
            ("llama3", .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 64)),
        ]
        for (name, scaling) in scalings {
            let rope = RotaryEmbedding(headSize: 16, base: 5e4, scaling: scaling, on: Placement(.cpu, .float32))
            let tables = try rope.tables(300)
            // 300 in fp32 times a rounded frequency: the angle itself is only good to about 2e-5.
            try expectClose(tables.cosines.indexSelect(0, places), golden["\(name).cos"], atol: 5e-5, name)
            try expectClose(tables.sines.indexSelect(0, places), golden["\(name).sin"], atol: 5e-5, name)
        }
        let plain = RotaryEmbedding(headSize: 16, base: 5e4, scaling: .none, on: Placement(.cpu, .float32))
        let divided = RotaryEmbedding(
            headSize: 16, base: 5e4, scaling: .divisors(Array(repeating: 2, count: 8)), on: Placement(.cpu, .float32))
        try expectClose(
            divided.tables(20).cosines.indexSelect(0, Tensor([8])), plain.tables(20).cosines.indexSelect(0, Tensor([4]))
        )
    }
}
