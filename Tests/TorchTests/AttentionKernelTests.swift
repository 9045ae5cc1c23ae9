// lora::attention against PyTorch and against plain operators.
//
// T tokens, H heads, K key-value heads, D head size.

import TestSupport
import Testing

@testable import Torch

@Suite("Attention operator")
struct AttentionKernelTests {
    @Test("several sequences and grouped queries equal PyTorch, read from one joined projection")
    func parity() throws {
        let golden = try GoldenTensors("kernels-attention")
        for (dtype, tolerance) in [(DType.float32, Float(1e-5)), (.float64, 1e-5), (.bfloat16, 0.08)] {
            let qkv = try golden["x"].to(dtype).requiresGrad(true)
            let parts = try qkv.split([48, 16, 16], dim: 1)
            let y = try attention(
                parts[0].view(17, 6, 8), parts[1].view(17, 2, 8), parts[2].view(17, 2, 8), lengths: [9, 1, 7])
            #expect(y.shape == [17, 6, 8] && y.dtype == dtype)
            try expectClose(y, golden["y"], atol: tolerance, "\(dtype): y")
            try y.backward(golden["dy"].to(dtype))
            try expectClose(qkv.grad, golden["grad.x"], atol: tolerance, "\(dtype): x")
        }
    }

    /// softmax(q kᵀ / √D) v under a causal mask, by plain operators, for as many heads on both sides.
    private func plain(_ q: Tensor, _ k: Tensor, _ v: Tensor) throws -> Tensor {
        let (T, D) = (q.shape[0], q.shape[2])
        let mask = (0..<T * T).map { $0 % T > $0 / T ? -Float.infinity : 0 }
        let heads = try [q, k, v].map { try $0.transpose(0, 1) }  // (H, T, D)
        let scores = try heads[0].matmul(heads[1].transpose(1, 2)) * (1 / Double(D).squareRoot())
        let weights = try (scores + Tensor(mask, [T, T])).softmax(-1)
        return try weights.matmul(heads[2]).transpose(0, 1)
    }

    @Test("a sequence longer than any tile, and gradients of all three", arguments: [(600, 2, 8), (65, 3, 64)])
    func long(_ T: Int, _ H: Int, _ D: Int) throws {
        func leaves() throws -> [Tensor] {
            try (1...3).map { try (noise(T, H, D, seed: $0) * 2).requiresGrad(true) }
        }
        let (ours, others) = (try leaves(), try leaves())
        let y = try attention(ours[0], ours[1], ours[2], lengths: [T])
        let expected = try plain(others[0], others[1], others[2])
        try expectClose(y, expected)
        try weighed(y).backward()
        try weighed(expected).backward()
        for (one, other) in zip(ours, others) { try expectClose(one.grad, other.grad, atol: 2e-5) }
    }

    @Test("inputs and gradients of any strides are read by their elements")
    func strides() throws {
        // (D, T, H) → (T, H, D): the last dimension is not contiguous.
        func views(_ leaves: [Tensor]) throws -> [Tensor] {
            try leaves.map { try $0.transpose(0, 1).transpose(1, 2) }
        }
        func leaves() throws -> [Tensor] { try (1...3).map { try noise(8, 11, 2, seed: $0).requiresGrad(true) } }
        let (ours, others) = (try leaves(), try leaves())
        let (one, other) = (try views(ours), try views(others))
        let y = try attention(one[0], one[1], one[2], lengths: [4, 7])
        let expected = try concatenated(
            [(0, 4), (4, 7)].map { start, length in
                let parts = try other.map { try $0.narrow(0, start, length) }
                return try plain(parts[0], parts[1], parts[2])
            })
        try expectClose(y, expected)
        try y.sum().backward()  // a gradient without strides
        try expected.sum().backward()
        for (one, other) in zip(ours, others) { try expectClose(one.grad, other.grad) }
    }

    @Test("a token sees nothing of later tokens nor of other sequences")
    func causality() throws {
        func run(_ changed: Int?) throws -> [[Float]] {
            var values: [Float] = try noise(6, 2, 4).array()
            if let changed { for i in 0..<8 { values[changed * 8 + i] += 1 } }
            let x = try Tensor(values, [6, 2, 4])
            let y: [Float] = try attention(x, x, x, lengths: [4, 2]).array()
            return (0..<6).map { Array(y[$0 * 8..<$0 * 8 + 8]) }
        }
        let before = try run(nil)
        for changed in 0..<6 {
            let seen = zip(before, try run(changed)).enumerated().filter { $1.0 != $1.1 }.map(\.offset)
            #expect(seen == Array(changed..<(changed < 4 ? 4 : 6)))
        }
    }

    @Test("sequences of no length, and lengths or heads that do not fit, are told or skipped")
    func edges() throws {
        let (q, k) = (try noise(5, 4, 8), try noise(5, 2, 8))
        func call(_ lengths: [Int]) throws -> Tensor { try attention(q, k, k, lengths: lengths) }
        #expect(message { _ = try call([2, 2]) } == "attention: lengths add up to 4, not to 5")
        #expect(message { _ = try call([7, -2]) }?.contains("-2") == true)
        try expectClose(call([0, 3, 0, 2]), call([3, 2]), atol: 0, rtol: 0)
        #expect(message { _ = try attention(noise(5, 3, 8), k, k, lengths: [5]) }?.contains("[5, 3, 8]") == true)
        #expect(message { _ = try attention(q, noise(5, 0, 8), noise(5, 0, 8), lengths: [5]) } != nil)
        #expect(message { _ = try attention(q, noise(4, 2, 8), noise(4, 2, 8), lengths: [5]) } != nil)
    }
}
