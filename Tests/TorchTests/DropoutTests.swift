// The dropout of adapters: drawn from a seed, the same on the way back.

import Testing

@testable import Torch

@Suite("Adapter dropout")
struct DropoutTests {
    /// The factors that the operator applies to an input of (rows, columns), seen through adapters that change nothing.
    private func mask(_ rows: Int, _ columns: Int, _ dropout: Dropout) throws -> [Float] {
        let identity = try Tensor(
            (0..<columns * columns).map { $0 % (columns + 1) == 0 ? Float(1) : 0 }, [columns, columns])
        let none = StoredWeight(try .zeros([columns, columns]), outputs: columns, inputs: columns)
        let ones = try Tensor.full([rows, columns], 1)
        let update = LowRankUpdate(index: 0, a: identity, b: identity, scale: 1)
        return try linear(ones, [none], updates: [update], dropout: dropout).array()
    }

    @Test("elements are dropped in their share, the others scaled up", arguments: [0.05, 0.1, 0.5, 0.9])
    func share(_ probability: Double) throws {
        let mask = try mask(1000, 32, Dropout(probability: probability, seed: 3))
        let kept = Float(1 / (1 - probability))
        #expect(mask.allSatisfy { $0 == 0 || abs($0 - kept) <= 1e-6 * kept })
        let dropped = Double(mask.count { $0 == 0 }) / Double(mask.count)
        let deviation = (probability * (1 - probability) / Double(mask.count)).squareRoot()
        #expect(abs(dropped - probability) < 4 * deviation)
        // No row, no column and no neighbour is favoured.
        for column in 0..<32 {
            let here = Double(stride(from: column, to: mask.count, by: 32).count { mask[$0] == 0 }) / 1000
            #expect(abs(here - probability) < 5 * (probability * (1 - probability) / 1000).squareRoot())
        }
        let pairs = Double(zip(mask, mask.dropFirst()).count { $0 == 0 && $1 == 0 }) / Double(mask.count)
        #expect(abs(pairs - probability * probability) < 0.01)
    }

    @Test("the same seed drops the same, other seeds other elements, and no dropout nothing")
    func seeds() throws {
        let masks = try (0..<4).map { try mask(50, 16, Dropout(probability: 0.5, seed: $0)) }
        #expect(Set(masks).count == 4)
        #expect(try mask(50, 16, Dropout(probability: 0.5, seed: 2)) == masks[2])
        for (index, other) in masks.enumerated().dropFirst() {
            let equal = zip(masks[0], other).count { $0 == $1 }
            #expect((300...500).contains(equal), "seed \(index) agrees in \(equal) of 800")
        }
        #expect(try mask(3, 4, Dropout(probability: 0, seed: 1)).allSatisfy { $0 == 1 })
    }

    @Test("backward draws the same mask: every gradient equals that of plain operators under it", arguments: [5, 40])
    func sameBackward(_ tokens: Int) throws {
        let dropout = Dropout(probability: 0.4, seed: 77)
        let mask = try Tensor(mask(tokens, 12, dropout), [tokens, 12])
        let w = [try noise(6, 12, seed: 2), try noise(8, 12, seed: 3)]
        func leaves() throws -> [Tensor] {
            try [
                noise(tokens, 12, seed: 4), noise(3, 12, seed: 5), noise(6, 3, seed: 6), noise(2, 12, seed: 7),
                noise(8, 2, seed: 8),
            ].map { try $0.requiresGrad(true) }
        }
        let (ours, plain) = (try leaves(), try leaves())
        let updates = [
            LowRankUpdate(index: 0, a: ours[1], b: ours[2], scale: 0.5),
            LowRankUpdate(index: 1, a: ours[3], b: ours[4], scale: 3),
        ]
        let y = try linear(
            ours[0], w.map { StoredWeight($0, outputs: $0.shape[0], inputs: 12) }, updates: updates,
            dropout: dropout)
        func through(_ x: Tensor, _ w: Tensor) throws -> Tensor { try x.matmul(w.transpose(0, 1)) }
        let dropped = try plain[0] * mask
        let first = try through(plain[0], w[0]) + through(through(dropped, plain[1]), plain[2]) * 0.5
        let second = try through(plain[0], w[1]) + through(through(dropped, plain[3]), plain[4]) * 3
        let expected = try concatenated([first, second], dim: 1)
        try expectClose(y, expected, atol: 2e-5)
        try weighed(y).backward()
        try weighed(expected).backward()
        for (index, (one, other)) in zip(ours, plain).enumerated() {
            try expectClose(one.grad, other.grad, atol: 2e-5, "leaf \(index)")
        }
    }
}
