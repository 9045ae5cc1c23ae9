// lora::picture_attention against the same from plain operators in fp64.
//
// B pictures, H heads, T queries, S keys, D head size.

import TestSupport
import Testing

@testable import Torch

@Suite("Picture attention operator")
struct PictureAttentionKernelTests {
    /// A projection for queries (B, T, H · D) and a joined one for keys and values (B, S, 2 · H · D).
    private struct Inputs {
        let x, context: Tensor
        let heads: Int

        init(_ B: Int, _ H: Int, _ T: Int, _ S: Int, _ D: Int, scale: Double = 2, trains: [Bool] = [true, true]) throws
        {
            x = try (noise(B, T, H * D, seed: 1) * scale).requiresGrad(trains[0])
            context = try (noise(B, S, 2 * H * D, seed: 2) * scale).requiresGrad(trains[1])
            heads = H
        }

        private init(_ x: Tensor, _ context: Tensor, _ heads: Int) {
            (self.x, self.context, self.heads) = (x, context, heads)
        }

        /// The same numbers in fp64.
        func wide() throws -> Inputs {
            func leaf(_ x: Tensor) throws -> Tensor { try x.detach().to(.float64).requiresGrad(x.requiresGrad) }
            return Inputs(try leaf(x), try leaf(context), heads)
        }

        /// `body` of queries, keys and values: views (B, H, ·, D) whose rows lie apart.
        func callAsFunction(_ body: (Tensor, Tensor, Tensor) throws -> Tensor) throws -> Tensor {
            let (B, C) = (x.shape[0], x.shape[2])
            let parts = try [x] + context.split([C, C], dim: -1)
            let views = try parts.map { try $0.view(B, $0.shape[1], heads, C / heads).transpose(1, 2) }
            return try body(views[0], views[1], views[2])
        }
    }

    private static func plain(_ q: Tensor, _ k: Tensor, _ v: Tensor) throws -> Tensor {
        let scores = try q.matmul(k.transpose(2, 3)) * (1 / Double(q.shape[3]).squareRoot())
        return try scores.softmax(-1).matmul(v)
    }

    private func compare(_ ours: Inputs, atol: Float = 1e-5, rtol: Float = 1e-5, _ what: String = "") throws {
        let theirs = try ours.wide()
        let (y, expected) = (try ours(pictureAttention), try theirs(Self.plain))
        try expectClose(y, expected, atol: atol, rtol: rtol, "\(what) y")
        guard y.requiresGrad else { return }
        try weighed(y).backward()
        try weighed(expected).backward()
        for (name, one, other) in [("q", ours.x, theirs.x), ("k and v", ours.context, theirs.context)] {
            guard one.requiresGrad else { #expect(one.grad == nil); continue }
            try expectClose(one.grad, other.grad, atol: 2 * atol, rtol: rtol, "\(what) gradient of \(name)")
        }
    }

    @Test(
        "results and all gradients equal plain operators, whatever the sizes",
        arguments: [
            [2, 3, 130, 130, 8], [1, 2, 64, 77, 40], [2, 1, 63, 65, 16], [1, 2, 48, 200, 80], [1, 1, 100, 33, 128],
            [1, 3, 17, 5, 5], [2, 2, 70, 1, 8], [1, 1, 1, 70, 3], [1, 2, 129, 128, 1], [1, 1, 20, 90, 99],
            [1, 1, 30, 20, 160],
        ])
    func parity(_ sizes: [Int]) throws {
        try compare(Inputs(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]), atol: 2e-5, "\(sizes)")
    }

    @Test("large scores of both signs neither overflow nor lose their digits", arguments: [8, 40])
    func extremes(_ D: Int) throws {
        // Scores up to about ±100 and ±1000.
        for scale in [8.0, 25] { try compare(Inputs(1, 2, 70, 90, D, scale: scale), atol: 2e-3, rtol: 1e-3) }
        // All scores of one size far from zero: only their differences matter.
        let (q, k) = (try Tensor.full([1, 1, 3, 8], 60), try Tensor.full([1, 1, 70, 8], -60))
        let v = try noise(1, 1, 70, 8)
        let leaves = try [q, k, v].map { try $0.requiresGrad(true) }
        let y = try pictureAttention(leaves[0], leaves[1], leaves[2])
        try expectClose(y, Self.plain(q * 0, k, v), atol: 1e-6)
        try weighed(y).backward()
        for leaf in leaves { #expect(try leaf.grad?.isFinite().all().item() == 1) }
    }

    @Test("not a number stays not a number, in its own query alone")
    func notANumber() throws {
        var values: [Float] = try noise(40, 8).array()
        values[3 * 8] = .nan
        let (q, k) = (try Tensor(values, [1, 1, 40, 8]), try noise(1, 1, 70, 8, seed: 2))
        let y: [Float] = try pictureAttention(q, k, k).array()
        #expect(y.enumerated().allSatisfy { $1.isNaN == ($0 / 8 == 3) })
    }

    @Test(
        "what does not train gets no gradient, and the others get theirs",
        arguments: [[true, false], [false, true], [false, false]])
    func partial(_ trains: [Bool]) throws { try compare(Inputs(1, 2, 70, 77, 8, trains: trains)) }

    @Test("other types, strides of any kind, and a gradient without strides")
    func views() throws {
        for (dtype, tolerance) in [(DType.float64, Float(1e-5)), (.bfloat16, 0.05)] {
            let x = try noise(2, 9, 2, 8).to(dtype).transpose(1, 2)
            try expectClose(pictureAttention(x, x, x), Self.plain(x, x, x), atol: tolerance)
        }
        // (D, T, H, B) → (B, H, T, D)
        func leaves() throws -> [Tensor] { try (1...3).map { try noise(8, 70, 2, 3, seed: $0).requiresGrad(true) } }
        let (ours, theirs) = (try leaves(), try leaves())
        let (one, other) = (
            try ours.map { try $0.transpose(0, 3).transpose(1, 2) },
            try theirs.map { try $0.transpose(0, 3).transpose(1, 2) }
        )
        try pictureAttention(one[0], one[1], one[2]).sum().backward()
        try Self.plain(other[0], other[1], other[2]).sum().backward()
        for (one, other) in zip(ours, theirs) { try expectClose(one.grad, other.grad, atol: 2e-5) }
    }

    @Test("the result lies in memory as the next layer reads it")
    func layout() throws {
        let y = try Inputs(2, 3, 9, 9, 8)(pictureAttention)
        #expect(y.shape == [2, 3, 9, 8])
        try #expect(y.transpose(1, 2).view(2, 9, 24).shape == [2, 9, 24])
    }

    @Test("sizes that do not fit are refused by name")
    func refused() throws {
        func call(_ q: [Int], _ k: [Int], _ v: [Int]) -> String? {
            message { _ = try pictureAttention(.full(q, 1), .full(k, 1), .full(v, 1)) }
        }
        #expect(call([1, 2, 3, 8], [1, 2, 4, 8], [1, 2, 4, 8]) == nil)
        #expect(
            call([1, 2, 3, 8], [1, 2, 4, 8], [1, 2, 5, 8])?
                .contains("q [1, 2, 3, 8], k [1, 2, 4, 8], v [1, 2, 5, 8]") == true)
        for k in [[1, 2, 4, 7], [2, 2, 4, 8], [1, 1, 4, 8], [1, 2, 0, 8], [2, 4, 8]] {
            #expect(call([1, 2, 3, 8], k, k)?.contains("picture_attention") == true)
        }
        #expect(call([0, 2, 3, 8], [0, 2, 4, 8], [0, 2, 4, 8])?.contains("[0, 2, 3, 8]") == true)
    }
}
