// lora::linear against PyTorch: dense, packed and mixed weights, adapters, residual, bias; and against plain operators.

import TestSupport
import Testing

@testable import Torch

/// One of the golden calls: three adapters, one on the first weight and two on the last.
private struct GoldenLinear {
    let golden: GoldenTensors
    let weights: [StoredWeight]
    let x: Tensor
    let updates: [LowRankUpdate]
    let residual: Tensor?

    /// GGUF's numbers of types, nil for dense; outputs and the rows of an interleaved head.
    init(_ name: String, inputs: Int, _ layout: [(type: Int?, outputs: Int, head: Int)]) throws {
        let golden = try GoldenTensors("kernels-\(name)")
        self.golden = golden
        weights = try layout.enumerated().map { index, part in
            StoredWeight(
                try golden["w\(index)"], ggmlType: part.type, outputs: part.outputs, inputs: inputs,
                interleavedHead: part.head)
        }
        x = try golden.leaf("x")
        let scales = [0.5, 2, -1.25]
        updates = try scales.indices.map {
            LowRankUpdate(
                index: $0 == 0 ? 0 : layout.count - 1, a: try golden.leaf("a\($0)"), b: try golden.leaf("b\($0)"),
                scale: scales[$0])
        }
        residual = golden.has("residual") ? try golden.leaf("residual") : nil
    }

    static let all: [@Sendable () throws -> GoldenLinear] = [
        { try GoldenLinear("linear", inputs: 24, [(nil, 32, 0), (nil, 8, 0), (nil, 16, 0)]) },
        { try GoldenLinear("packed", inputs: 256, [(8, 16, 8), (3, 8, 4), (14, 12, 0)]) },
        { try GoldenLinear("mixed", inputs: 256, [(8, 16, 8), (nil, 5, 0)]) },
    ]
    static let (dense, packed, mixed) = (all[0], all[1], all[2])

    func callAsFunction() throws -> Tensor {
        let bias = golden.has("bias") ? try golden["bias"] : nil
        return try linear(x, weights, bias: bias, updates: updates, residual: residual)
    }
}

@Suite("Linear operator")
struct LinearKernelTests {
    // Sums of 256 products of numbers around 1 come out to about 5e-5 in fp32.
    private let atol: Float = 2e-4
    private let rtol: Float = 1e-5

    @Test("dense, packed and mixed weights with adapters equal PyTorch, every gradient too", arguments: 0..<3)
    func parity(_ index: Int) throws {
        let one = try GoldenLinear.all[index]()
        let y = try one()
        try expectClose(y, one.golden["y"], atol: atol, rtol: rtol, "y")
        try y.backward(one.golden["dy"])
        try expectClose(one.x.grad, one.golden["grad.x"], atol: atol, rtol: rtol, "x")
        if let residual = one.residual {
            try expectClose(residual.grad, one.golden["grad.residual"], atol: 0, rtol: 0, "residual")
        }
        for (place, update) in one.updates.enumerated() {
            try expectClose(update.a.grad, one.golden["grad.a\(place)"], atol: atol, rtol: rtol, "a\(place)")
            try expectClose(update.b.grad, one.golden["grad.b\(place)"], atol: atol, rtol: rtol, "b\(place)")
        }
    }

    @Test("few rows, which take a path of their own, equal the same rows among many", arguments: [1, 2, 7, 16, 17])
    func fewRows(_ count: Int) throws {
        let one = try GoldenLinear.packed()
        let x = try one.golden["x"].narrow(0, 0, count).clone().requiresGrad(true)
        let residual = try one.residual?.detach().narrow(0, 0, count)
        let y = try linear(x, one.weights, updates: one.updates, residual: residual)
        try expectClose(y, one.golden["y"].narrow(0, 0, count), atol: atol, rtol: rtol, "y")
        try y.backward(one.golden["dy"].narrow(0, 0, count))
        try expectClose(x.grad, one.golden["grad.x"].narrow(0, 0, count), atol: atol, rtol: rtol, "x")
        // Without a residual nothing is there to add to.
        let alone = try linear(x.detach(), one.weights, updates: one.updates)
        let expected = try residual.map { try one.golden["y"].narrow(0, 0, count) - $0 }
        try expectClose(alone, expected, atol: atol, rtol: rtol, "without residual")
    }

    @Test("a residual and an input of any strides are read by their elements", arguments: [3, 20])
    func strides(_ count: Int) throws {
        let one = try GoldenLinear.packed()
        let (x, residual) = (try noise(256, count, seed: 2), try noise(36, count, seed: 3))
        let views = (try x.transpose(0, 1), try residual.transpose(0, 1))
        let y = try linear(views.0, one.weights, residual: views.1)
        let plain = try linear(views.0.contiguous(), one.weights, residual: views.1.contiguous())
        try expectClose(y, plain, atol: 1e-5)
        #expect(try residual.array() == noise(36, count, seed: 3).array() as [Float], "the residual is not written to")
    }

    @Test("leading dimensions are kept, and one weight with a bias is x Wᵀ + b")
    func plain() throws {
        let (x, w) = (try noise(2, 9, 24).requiresGrad(true), try noise(5, 24, seed: 2))
        let bias = try noise(5, seed: 3)
        let weight = StoredWeight(w, outputs: 5, inputs: 24)
        let y = try linear(x, [weight], bias: bias)
        #expect(y.shape == [2, 9, 5])
        let other = try noise(2, 9, 24).requiresGrad(true)
        let expected = try other.matmul(w.transpose(0, 1)) + bias
        try expectClose(y, expected)
        try weighed(y).backward()
        try weighed(expected).backward()
        try expectClose(x.grad, other.grad)
        try expectClose(linear(x, [weight], bias: bias, residual: y), expected * 2)
        #expect(try linear(noise(0, 24), [weight]).shape == [0, 5])
    }

    @Test("adapters train where the input needs no gradient, and a frozen call records nothing")
    func gradientsWanted() throws {
        let one = try GoldenLinear.mixed()
        try one.x.requiresGrad(false)
        try one().backward(one.golden["dy"])
        #expect(one.x.grad == nil)
        try expectClose(one.updates[0].a.grad, one.golden["grad.a0"], atol: atol, rtol: rtol)
        #expect(try linear(one.x, one.weights).requiresGrad == false)
    }

    @Test("16-bit factors of an fp32 input gather gradients of their own type")
    func narrowFactors() throws {
        let one = try GoldenLinear.dense()
        let narrow = try one.updates.map {
            LowRankUpdate(
                index: $0.index, a: try $0.a.detach().to(.bfloat16).requiresGrad(true),
                b: try $0.b.detach().to(.bfloat16).requiresGrad(true), scale: $0.scale)
        }
        let bias = try one.golden["bias"]
        let y = try linear(one.x, one.weights, bias: bias, updates: narrow, residual: one.residual)
        try y.backward(one.golden["dy"])
        #expect(narrow.allSatisfy { $0.a.grad?.dtype == .bfloat16 && $0.b.grad?.dtype == .bfloat16 })
        try expectClose(narrow[1].b.grad, one.golden["grad.b1"], atol: 0.3, rtol: 0.02)
    }

    @Test("computing in fp64 or bf16, as other devices do, agrees", arguments: [DType.float64, .bfloat16])
    func otherTypes(_ dtype: DType) throws {
        let tolerance: Float = dtype == .float64 ? 2e-4 : 0.6
        for make in GoldenLinear.all {
            let one = try make()
            let x = try one.golden["x"].to(dtype).requiresGrad(true)
            let bias = one.golden.has("bias") ? try one.golden["bias"].to(dtype) : nil
            let residual = try one.residual?.to(dtype)
            let y = try linear(x, one.weights, bias: bias, updates: one.updates, residual: residual)
            #expect(y.dtype == dtype)
            try expectClose(y, one.golden["y"], atol: tolerance, rtol: 0.03, "y")
            try y.backward(one.golden["dy"].to(dtype))
            #expect(x.grad?.dtype == dtype && one.updates[0].a.grad?.dtype == .float32)
            try expectClose(x.grad, one.golden["grad.x"], atol: tolerance, rtol: 0.03, "x")
        }
    }

    @Test("calls whose parts do not fit are refused with their sizes")
    func refused() throws {
        let w = StoredWeight(try noise(5, 24), outputs: 5, inputs: 24)
        let x = try noise(3, 24)
        func update(_ index: Int, _ a: [Int], _ b: [Int]) throws -> LowRankUpdate {
            LowRankUpdate(index: index, a: try .zeros(a), b: try .zeros(b), scale: 1)
        }
        #expect(message { _ = try linear(noise(3, 23), [w]) } != nil)
        #expect(
            message { _ = try linear(x, [w], updates: [update(0, [2, 23], [5, 2])]) }?.contains("[2, 23]") == true)
        #expect(
            message { _ = try linear(x, [w], updates: [update(1, [2, 24], [5, 2])]) }?.contains("weight 1") == true)
        #expect(message { _ = try linear(x, [w], updates: [update(-1, [2, 24], [5, 2])]) } != nil)
        #expect(message { _ = try linear(x, [w], updates: [update(0, [2, 24], [4, 2])]) } != nil)
        #expect(message { _ = try linear(x, [w], residual: noise(1, 5)) }?.contains("residual") == true)
        #expect(message { _ = try linear(x, [w], residual: noise(5)) }?.contains("residual") == true)
        #expect(message { _ = try linear(x, [w], bias: noise(4)) } != nil)
        #expect(message { _ = try linear(x, [StoredWeight(w.data, outputs: 4, inputs: 24)]) } != nil)
        #expect(
            message { _ = try linear(x, [w], dropout: Dropout(probability: 1.5, seed: 0)) }?.contains("1.5") == true)
        #expect(message { _ = try linear(x, []) } != nil)
    }

    @Test("packed bytes that do not fit their layout are refused, on both paths", arguments: [2, 20])
    func refusedPacked(_ count: Int) throws {
        let x = try noise(count, 64)
        let bytes = try Tensor([UInt8](repeating: 0, count: 4 * 68))  // four rows of two Q8_0 blocks
        func call(_ type: Int, _ outputs: Int, head: Int = 0, _ x: Tensor) throws {
            _ = try linear(
                x, [StoredWeight(bytes, ggmlType: type, outputs: outputs, inputs: 64, interleavedHead: head)])
        }
        try call(8, 4, x)
        #expect(message { try call(8, 5, x) }?.contains("expected 340 bytes for 5 rows, got 272") == true)
        #expect(message { try call(99, 4, x) }?.contains("99") == true)
        #expect(message { try call(8, 4, noise(count, 63)) }?.contains("63") == true)
        for head in [1, 3, 8, -2] { #expect(message { try call(8, 4, head: head, x) }?.contains("\(head)") == true) }
        let residual = try noise(1, 4)
        let weight = StoredWeight(bytes, ggmlType: 8, outputs: 4, inputs: 64)
        #expect(message { _ = try linear(x, [weight], residual: residual) }?.contains("residual") == true)
    }
}
