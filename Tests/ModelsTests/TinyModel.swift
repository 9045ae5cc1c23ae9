// Tiny models of every kind that is read, with adapters, and what transformers and PEFT make of them.

import Formats
import Foundation
import LoRA
import NN
import TestSupport
import Testing
import Torch

@testable import Models

/// A model with what the reference computes with it; see scripts/goldens/llama.py.
struct TinyModel {
    enum Kind: String, CaseIterable, Sendable {
        /// LLaMA with tied embeddings and LLaMA 3's rope scaling, stored in BF16.
        case tied
        /// Stored in F16, head not tied.
        case mistral
        /// Stored in F32, with biases.
        case qwen2
        /// A GGUF file of many types.
        case gguf
    }

    let llama: Llama
    let sequences: [[Int]]
    let expected: SafetensorsFile

    init(_ kind: Kind) throws {
        let folder = goldens.appendingPathComponent("llama-\(kind)")
        let file = folder.appendingPathComponent("model.gguf")
        try self.init(base: kind == .gguf ? file : folder, expected: folder)
    }

    init(base: URL, expected folder: URL) throws {
        llama = try Llama.load(base, on: Placement(.cpu, .float32))
        expected = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        let tokens = try expected.tensor("tokens").floats().map { Int($0) }
        sequences = try expected.integers("lengths").reduce(into: []) { rows, length in
            let start = rows.reduce(0) { $0 + $1.count }
            rows.append(Array(tokens[start..<start + length]))
        }
    }

    var tokens: [Int] { sequences.flatMap { $0 } }
    var lengths: [Int] { sequences.map(\.count) }
}

/// A PEFT adapter with what PEFT computes with it; see scripts/goldens/peft_adapters.py.
struct TinyAdapter {
    enum Kind: String, CaseIterable, Sendable {
        /// Rank 4 on query and value, as PEFT starts it: B is zero.
        case qv
        /// Rank 3 on all linear layers, B random, rank-stabilised.
        case all
    }

    let set: LoRASet
    let folder: URL
    let expected: SafetensorsFile
    /// For each token of each sequence the one that should follow it, or -100.
    let labels: [[Int]]

    init(_ kind: Kind, of model: TinyModel.Kind, on tiny: TinyModel) throws {
        try self.init(goldens.appendingPathComponent("peft-\(model)-\(kind)"), on: tiny)
    }

    /// Reads the adapter and puts it onto the model, ready to be trained.
    init(_ folder: URL, on tiny: TinyModel) throws {
        self.folder = folder
        set = try PEFT.read(folder, for: tiny.llama, on: .cpu)
        set.attach()
        for parameter in set.parameters { try parameter.value.requiresGrad(true) }
        expected = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        let flat = try expected.integers("labels")
        var start = 0
        labels = tiny.lengths.map { length in
            defer { start += length }
            return flat[start + 1..<start + length] + [-100]
        }
    }

    /// Positions that are learnt, as a divisor.
    var learnt: Double { Double(labels.joined().count { $0 != -100 }) }
}

extension SafetensorsFile {
    func integers(_ name: String) throws -> [Int] { try tensor(name).floats().map { Int($0) } }

    /// Expects a tensor to have the shape and, element by element, the numbers of the golden.
    func expect(
        _ actual: Tensor, _ name: String, atol: Float = 2e-5, rtol: Float = 2e-5,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let stored = try tensor(name)
        #expect(actual.shape == stored.shape, "\(name)", sourceLocation: sourceLocation)
        expectClose(
            actual: try actual.array(), expected: try stored.floats(), atol: atol, rtol: rtol, name,
            sourceLocation: sourceLocation)
    }
}
