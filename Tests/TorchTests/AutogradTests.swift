// Gradients, and checkpointing, which must change nothing but memory.

import Foundation
import Testing

@testable import Torch

@Suite("Gradients")
struct AutogradTests {
    @Test("a product's gradients are its other factors'")
    func product() throws {
        let (a, b) = (try noise(3, 4).requiresGrad(true), try noise(4, 2, seed: 2).requiresGrad(true))
        let upstream = try noise(3, 2, seed: 3)
        try a.matmul(b).backward(upstream)
        try expectClose(a.grad, upstream.matmul(b.detach().transpose(0, 1)))
        try expectClose(b.grad, a.detach().transpose(0, 1).matmul(upstream))
    }

    @Test("gradients add up until they are forgotten")
    func accumulation() throws {
        let x = try Tensor([1, 2] as [Float]).requiresGrad(true)
        #expect(x.grad == nil && x.requiresGrad)
        for _ in 0..<3 { try (x * x).sum().backward() }
        #expect(try x.grad?.array() == [6, 12] as [Float])
        try x.setGrad(nil)
        #expect(x.grad == nil)
        try x.setGrad(Tensor([5, 5] as [Float]))
        try x.sum().backward()
        #expect(try x.grad?.array() == [6, 6] as [Float])
    }

    @Test("nothing is recorded without gradients, and recording comes back after an error")
    func switchedOff() throws {
        let x = try noise(2).requiresGrad(true)
        #expect(try withoutGradients { try (x * 2).requiresGrad } == false)
        #expect(message { try withoutGradients { _ = try x.view(5) } } != nil)
        #expect(try (x * 2).requiresGrad && x.detach().requiresGrad == false)
    }

    @Test("backward without a way back, or of many numbers, says so")
    func refused() throws {
        let x = try noise(2)
        #expect(message { try x.sum().backward() }?.contains("does not require grad") == true)
        try x.requiresGrad(true)
        #expect(message { try (x * 2).backward() }?.contains("grad can be implicitly created only for scalar") == true)
    }
}

@Suite("Checkpointing")
struct CheckpointTests {
    private struct Outcome {
        let value, x, a, b: Tensor?
    }

    /// A graph around a body that uses its input twice and two parameters from outside.
    private func outcome(recomputes: Bool) throws -> Outcome {
        let x = try noise(3, 4).requiresGrad(true)
        let (a, b) = (try noise(4, 4, seed: 2).requiresGrad(true), try noise(3, 4, seed: 3).requiresGrad(true))
        let before = try (x * 1.5).sin()
        func body(_ h: Tensor) throws -> Tensor { try (h.matmul(a).cos() * b + h).softmax(1) }
        let inside = recomputes ? try checkpoint(before, body) : try body(before)
        let after = try inside.matmul(a) + before
        try weighed(after).backward()
        return Outcome(value: after, x: x.grad, a: a.grad, b: b.grad)
    }

    @Test("value and every gradient equal those of the plain computation")
    func parity() throws {
        let (plain, recomputed) = (try outcome(recomputes: false), try outcome(recomputes: true))
        try expectClose(recomputed.value, plain.value, atol: 0, rtol: 0, "value")
        try expectClose(recomputed.x, plain.x, atol: 1e-6, "x")
        try expectClose(recomputed.a, plain.a, atol: 1e-6, "a")
        try expectClose(recomputed.b, plain.b, atol: 1e-6, "b")
    }

    @Test("checkpoints follow and contain one another")
    func nested() throws {
        func gradients(_ recomputes: Bool) throws -> [Tensor?] {
            let x = try noise(4, 4).requiresGrad(true)
            let w = try noise(4, 4, seed: 2).requiresGrad(true)
            func layer(_ h: Tensor) throws -> Tensor { try h.matmul(w).sin() }
            func pair(_ h: Tensor) throws -> Tensor {
                recomputes ? try checkpoint(checkpoint(h, layer), layer) : try layer(layer(h))
            }
            var h = try x * 2
            for _ in 0..<3 { h = recomputes ? try checkpoint(h, pair) : try pair(h) }
            try weighed(h).backward()
            return [x.grad, w.grad]
        }
        for (recomputed, plain) in try zip(gradients(true), gradients(false)) {
            try expectClose(recomputed, plain, atol: 1e-6)
        }
    }

    @Test("the body runs once on the way forward, once on the way back, and is let go with the graph")
    func runs() throws {
        final class Witness { let runs = Counter() }
        weak var remaining: Witness?
        let x = try noise(3).requiresGrad(true)
        do {
            let witness = Witness()
            remaining = witness
            let y = try checkpoint(x) { h in
                witness.runs.add()
                return try h.sin()
            }
            #expect(witness.runs.count == 1)
            try y.sum().backward()
            #expect(witness.runs.count == 2)
        }
        #expect(remaining == nil)
    }

    @Test("an error in the body is reported in its own words, on both ways")
    func failure() throws {
        struct Refusal: Error, CustomStringConvertible { let description = "layer 3: no" }
        let x = try noise(3).requiresGrad(true)
        #expect(message { _ = try checkpoint(x) { _ in throw Refusal() } } == "layer 3: no")
        let runs = Counter()
        let y = try checkpoint(x) { h in
            runs.add()
            if runs.count > 1 { throw Refusal() }
            return try h.sin()
        }
        #expect(message { try y.sum().backward() } == "layer 3: no")
        try (x * 2).sum().backward()
        #expect(try x.grad?.array() == [2, 2, 2] as [Float], "recording works after the failure")
    }

    @Test("a lack of memory in the body is told once, with advice once")
    func outOfMemory() throws {
        let x = try noise(3).requiresGrad(true)
        let text = message { _ = try checkpoint(x) { _ in try .zeros([1 << 50]) } } ?? ""
        #expect(text.components(separatedBy: "try a smaller").count == 2, "\(text)")
        #expect(text.components(separatedBy: "out of memory: ").count == 2, "\(text)")
    }

    @Test("a body that gives back its input is the identity")
    func identity() throws {
        let x = try noise(3).requiresGrad(true)
        try (checkpoint(x) { $0 } * 3).sum().backward()
        #expect(try x.grad?.array() == [3, 3, 3] as [Float])
    }

    @Test("without recording it computes once and keeps nothing")
    func evaluation() throws {
        let x = try noise(3).requiresGrad(true)
        let y = try withoutGradients { try checkpoint(x) { try $0.sin() } }
        #expect(!y.requiresGrad)
        try expectClose(y, x.sin())
    }
}
