// lora::expand and lora::embedding: stored weights as numbers.

import Formats
import TestSupport
import Testing

@testable import Torch

@Suite("Stored weights")
struct WeightKernelTests {
    private let kinds: [(name: String, type: Int, block: Int)] = [
        ("F32", 0, 1), ("F16", 1, 1), ("Q4_0", 2, 32), ("Q4_1", 3, 32), ("Q5_0", 6, 32), ("Q5_1", 7, 32),
        ("Q8_0", 8, 32), ("Q2_K", 10, 256), ("Q3_K", 11, 256), ("Q4_K", 12, 256), ("Q5_K", 13, 256),
        ("Q6_K", 14, 256), ("BF16", 30, 1),
    ]

    /// Blocks of every type as a table of two blocks a row, and the floats that gguf makes of them.
    private func tables() throws -> [(name: String, weight: StoredWeight, floats: [Float])] {
        let golden = try GoldenTensors("blocks")
        return try kinds.map { kind in
            let floats: [Float] = try golden["\(kind.name).floats"].array()
            let inputs = 2 * kind.block
            let stored = try golden["\(kind.name).blocks"]
            return (
                kind.name,
                StoredWeight(stored, ggmlType: kind.type, outputs: floats.count / inputs, inputs: inputs), floats
            )
        }
    }

    @Test("every type expands to the reference's numbers, bit for bit")
    func expanding() throws {
        for (name, weight, floats) in try tables() {
            let dense = try expanded(weight)
            #expect(dense.shape == [weight.outputs, weight.inputs] && dense.dtype == .float32)
            expectClose(actual: try dense.array(), expected: floats, atol: 0, rtol: 0, name)
        }
    }

    @Test("an embedding reads the rows that are named, in their order and shape")
    func embedding() throws {
        for (name, weight, floats) in try tables() {
            let ids = [weight.outputs - 1, 0, 3, 3]
            let rows = try Torch.embedding(Tensor(ids, [2, 2]), weight)
            #expect(rows.shape == [2, 2, weight.inputs])
            let expected = ids.flatMap { floats[$0 * weight.inputs..<($0 + 1) * weight.inputs] }
            expectClose(actual: try rows.array(), expected: expected, atol: 0, rtol: 0, name)
        }
        let table = try noise(5, 3)
        let dense = StoredWeight(table, outputs: 5, inputs: 3)
        try expectClose(
            Torch.embedding(Tensor([4, 0]), dense), table.indexSelect(0, Tensor([4, 0])), atol: 0, rtol: 0)
    }

    @Test("interleaved heads come out in Hugging Face's order")
    func interleaved() throws {
        // GGUF's order of rows 0 … 7 of Hugging Face's, heads of 4: first half and second half by turns.
        let stored: [Float] = [0, 2, 1, 3, 4, 6, 5, 7].flatMap { [$0, $0 + 0.5] }
        let bytes = stored.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
        let weight = StoredWeight(try Tensor(bytes), ggmlType: 0, outputs: 8, inputs: 2, interleavedHead: 4)
        #expect(try expanded(weight).array() == (0..<8).flatMap { [Float($0), Float($0) + 0.5] })
    }

    @Test("tokens outside the table, unknown types and wrong sizes are refused")
    func refused() throws {
        let bytes = try Tensor([UInt8](repeating: 0, count: 3 * 34))
        func weight(_ outputs: Int = 3, type: Int = 8, inputs: Int = 32, head: Int = 0) -> StoredWeight {
            StoredWeight(bytes, ggmlType: type, outputs: outputs, inputs: inputs, interleavedHead: head)
        }
        for id in [3, -1, Int.max] {
            let text = message { _ = try Torch.embedding(Tensor([0, id]), weight()) }
            #expect(text == "token \(id) is outside the vocabulary of 3")
        }
        let table = StoredWeight(try noise(3, 2), outputs: 3, inputs: 2)
        #expect(message { _ = try Torch.embedding(Tensor([3]), table) }?.contains("out of range") == true)
        #expect(message { _ = try expanded(weight(type: 5)) }?.contains("element type 5") == true)
        #expect(message { _ = try expanded(weight(4)) }?.contains("expected 136 bytes for 4 rows, got 102") == true)
        #expect(message { _ = try expanded(weight(inputs: 33)) }?.contains("33 columns") == true)
        #expect(message { _ = try expanded(weight(-3)) } != nil)
        #expect(message { _ = try expanded(weight(Int.max)) } != nil)
        #expect(message { _ = try expanded(weight(inputs: 0)) } != nil)
        #expect(message { _ = try expanded(weight(1 << 61, inputs: 1 << 61)) } != nil)
        for head in [1, 2, -2] { #expect(message { _ = try expanded(weight(head: head)) } != nil) }
    }
}
