// Models and adapters compute what transformers and PEFT compute, element by element.

import LoRA
import NN
import Testing
import Torch

@testable import Models

@Suite("Models equal transformers")
struct LlamaParityTests {
    @Test("logits of sequences laid end to end equal those of each alone", arguments: TinyModel.Kind.allCases)
    func logits(kind: TinyModel.Kind) throws {
        let tiny = try TinyModel(kind)
        try withoutGradients {
            try tiny.expected.expect(tiny.llama.logits(tiny.tokens, lengths: tiny.lengths), "logits")
            let alone = try tiny.sequences.map { try tiny.llama.logits($0, lengths: [$0.count]) }
            try tiny.expected.expect(concatenated(alone), "logits")
        }
    }

    @Test("a PEFT adapter gives PEFT's logits", arguments: TinyModel.Kind.allCases, TinyAdapter.Kind.allCases)
    func adaptedLogits(kind: TinyModel.Kind, adapterKind: TinyAdapter.Kind) throws {
        let tiny = try TinyModel(kind)
        let adapter = try TinyAdapter(adapterKind, of: kind, on: tiny)
        try withoutGradients {
            try adapter.expected.expect(tiny.llama.logits(tiny.tokens, lengths: tiny.lengths), "logits")
            try adapter.set.withoutAdapters {
                try tiny.expected.expect(tiny.llama.logits(tiny.tokens, lengths: tiny.lengths), "logits")
            }
        }
    }

    /// How the same samples go through the model.
    enum Way: CaseIterable, Sendable {
        case endToEnd, padded, oneByOne, recomputed
    }

    @Test(
        "loss and every gradient equal PEFT's, whichever way the samples take",
        arguments: TinyModel.Kind.allCases.flatMap { kind in TinyAdapter.Kind.allCases.map { (kind, $0) } },
        Way.allCases
    )
    func gradients(kinds: (TinyModel.Kind, TinyAdapter.Kind), way: Way) throws {
        let tiny = try TinyModel(kinds.0)
        let adapter = try TinyAdapter(kinds.1, of: kinds.0, on: tiny)
        tiny.llama.checkpointsGradients = way == .recomputed
        let loss = try backward(tiny, adapter, way)
        try adapter.expected.expect(Tensor([Float(loss)], []), "loss", atol: 2e-6)
        for (key, value) in adapter.set.parameters {
            let gradient = try #require(value.grad, "\(key) has no gradient")
            try adapter.expected.expect(gradient, "gradient.base_model.model.\(key)", atol: 5e-6, rtol: 5e-5)
        }
    }

    /// Adds all gradients and returns the mean loss.
    private func backward(_ tiny: TinyModel, _ adapter: TinyAdapter, _ way: Way) throws -> Double {
        let longest = tiny.lengths.max() ?? 0
        let fill = { (row: [Int], value: Int) in
            way == .padded ? row + Array(repeating: value, count: longest - row.count) : row
        }
        let rows = zip(tiny.sequences, adapter.labels).map { (tokens: fill($0, 0), labels: fill($1, -100)) }
        return try (way == .oneByOne ? rows.map { [$0] } : [rows]).reduce(0) { sum, batch in
            let loss = try tiny.llama.loss(
                batch.flatMap(\.tokens), labels: batch.flatMap(\.labels), lengths: batch.map(\.tokens.count))
            let mean = try loss * (1 / adapter.learnt)
            try mean.backward()
            return try sum + mean.item()
        }
    }

    @Test("the base model's weights get no gradient and stay as they are")
    func frozen() throws {
        let tiny = try TinyModel(.qwen2)
        let adapter = try TinyAdapter(.all, of: .qwen2, on: tiny)
        _ = try backward(tiny, adapter, .endToEnd)
        let weights = tiny.llama.modules(of: Linear.self).map(\.module.weight.stored.data)
        #expect(weights.count == 14)
        #expect(weights.allSatisfy { !$0.requiresGrad && $0.grad == nil })
    }
}
