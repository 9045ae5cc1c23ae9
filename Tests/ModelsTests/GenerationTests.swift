// Generated tokens equal transformers' greedy ones; sampling depends on its seed alone.

import LoRA
import NN
import Testing
import Torch

@testable import Models

@Suite("Text generation")
struct GenerationTests {
    private func answers(_ tiny: TinyModel) throws -> [[Int]] {
        try tiny.llama.generate(tiny.sequences, SamplingOptions(maxTokens: 16), stops: [2])
    }

    @Test(
        "greedy answers to prompts of several lengths at once equal transformers'", arguments: TinyModel.Kind.allCases)
    func greedy(kind: TinyModel.Kind) throws {
        let tiny = try TinyModel(kind)
        let given = try answers(tiny)
        for (place, answer) in given.enumerated() {
            #expect(try answer == tiny.expected.integers("answer.\(place)"))
        }
        #expect(given.count == 4)
    }

    @Test(
        "greedy answers with an adapter equal PEFT's, and without it the base model's again",
        arguments: TinyModel.Kind.allCases, TinyAdapter.Kind.allCases)
    func adapted(kind: TinyModel.Kind, adapterKind: TinyAdapter.Kind) throws {
        let tiny = try TinyModel(kind)
        let adapter = try TinyAdapter(adapterKind, of: kind, on: tiny)
        for (place, answer) in try answers(tiny).enumerated() {
            #expect(try answer == adapter.expected.integers("answer.\(place)"))
        }
        adapter.set.detach()
        for (place, answer) in try answers(tiny).enumerated() {
            #expect(try answer == tiny.expected.integers("answer.\(place)"))
        }
    }

    @Test("an adapter of strength 0 changes nothing, and one of strength 1 twice is one of strength 2")
    func strength() throws {
        let tiny = try TinyModel(.tied)
        let adapter = try TinyAdapter(.all, of: .tied, on: tiny)
        func logits(_ strength: Double) throws -> Tensor {
            for entry in adapter.set.entries { entry.adapter.strength = strength }
            return try withoutGradients { try tiny.llama.logits(tiny.tokens, lengths: tiny.lengths) }
        }
        try tiny.expected.expect(logits(0), "logits")
        let double = try logits(2)
        adapter.set.attach()
        let twice = try logits(1)
        #expect(try (double - twice).abs().array(Float.self).max() ?? 1 < 2e-5)
    }

    @Test("every token is told with its prompt's place as soon as it is chosen")
    func tokens() throws {
        let tiny = try TinyModel(.tied)
        var told = [[Int]](repeating: [], count: 4)
        let given = try tiny.llama.generate(tiny.sequences, SamplingOptions(maxTokens: 5), stops: [2]) { place, token in
            told[place].append(token)
        }
        #expect(told == given)
        #expect(given.map(\.count) == [1, 4, 5, 5])
    }

    @Test("sampling gives the same for the same seed, another for another, and the greedy answer for a tiny top-p")
    func sampling() throws {
        let tiny = try TinyModel(.mistral)
        func sample(_ temperature: Double, _ topP: Double, _ seed: Int) throws -> [[Int]] {
            let options = SamplingOptions(maxTokens: 12, temperature: temperature, topP: topP, seed: seed)
            return try tiny.llama.generate(tiny.sequences, options, stops: [])
        }
        let greedy = try sample(0, 1, 1)
        let drawn = try sample(1.5, 0.95, 1)
        #expect(try sample(1.5, 0.95, 1) == drawn)
        #expect(try sample(1.5, 0.95, 2) != drawn)
        #expect(drawn != greedy)
        #expect(try sample(1.5, 1e-6, 7) == greedy)
        #expect(try sample(0, 1, 7) == greedy)
    }

    @Test("no prompts, no tokens and an empty prompt are answered, not tried")
    func edges() throws {
        let tiny = try TinyModel(.qwen2)
        #expect(try tiny.llama.generate([], SamplingOptions(maxTokens: 3), stops: []).isEmpty)
        #expect(try tiny.llama.generate([[5]], SamplingOptions(maxTokens: 0), stops: []) == [[]])
        let failure = #expect(throws: TorchError.self) {
            try tiny.llama.generate([[5], []], SamplingOptions(maxTokens: 3), stops: [])
        }
        #expect(failure.map { "\($0)" }?.contains("prompt 2 is empty") == true)
    }
}
