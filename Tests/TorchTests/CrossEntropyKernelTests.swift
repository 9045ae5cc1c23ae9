// lora::cross_entropy against PyTorch and against plain operators.
//
// T tokens, C channels, V entries of the vocabulary.

import TestSupport
import Testing

@testable import Torch

@Suite("Cross-entropy operator")
struct CrossEntropyKernelTests {
    private func dense(_ head: Tensor) -> StoredWeight {
        StoredWeight(head, outputs: head.shape[0], inputs: head.shape[1])
    }

    /// The summed loss by plain operators.
    private func plain(_ x: Tensor, _ labels: [Int], _ head: Tensor) throws -> Tensor {
        let V = head.shape[0]
        var chosen = [Float](repeating: 0, count: labels.count * V)
        for (t, label) in labels.enumerated() where label >= 0 { chosen[t * V + label] = -1 }
        let logarithms = try x.matmul(head.transpose(0, 1)).logSoftmax(1)
        return try (logarithms * Tensor(chosen, [labels.count, V])).sum()
    }

    @Test("loss and gradient equal PyTorch's with labels of -100, as other devices compute too")
    func parity() throws {
        let golden = try GoldenTensors("kernels-cross_entropy")
        for (dtype, tolerance) in [(DType.float32, Float(1e-5)), (.float64, 1e-5), (.bfloat16, 0.08)] {
            let x = try golden["x"].to(dtype).requiresGrad(true)
            let loss = try crossEntropy(x, labels: golden["labels"], head: dense(golden["head"]))
            #expect(loss.shape == [] && loss.dtype == .float32)
            try expectClose(loss, golden["y"], atol: tolerance * 10, "\(dtype): loss")
            try loss.backward(golden["dy"])
            try expectClose(x.grad, golden["grad.x"], atol: tolerance, "\(dtype): x")
        }
    }

    @Test("without one supervised token the loss and its gradient are zero", arguments: [DType.float32, .float64])
    func unsupervised(_ dtype: DType) throws {
        let x = try noise(3, 8).to(dtype).requiresGrad(true)
        let loss = try crossEntropy(x, labels: Tensor([-100, -1, -100]), head: dense(noise(11, 8, seed: 2)))
        #expect(try loss.item() == 0)
        try loss.backward()
        #expect(try x.grad?.array() == [Float](repeating: 0, count: 24))
        let nothing = try noise(0, 8).to(dtype).requiresGrad(true)
        #expect(try crossEntropy(nothing, labels: Tensor([Int]()), head: dense(noise(11, 8))).item() == 0)
    }

    @Test("more rows than one chunk holds give as many times the loss, and each row its own gradient")
    func chunks() throws {
        // A chunk holds 96 MiB of logits: 49,152 rows of 512.
        let (count, times) = (50, 1000)
        let head = try noise(512, 4, seed: 2)
        let labels = (0..<count).map { $0 % 9 == 0 ? -100 : ($0 * 37) % 512 }
        let x = try noise(count, 4).requiresGrad(true)
        let loss = try plain(x, labels, head)
        try loss.backward()
        let many = try concatenated(Array(repeating: x.detach(), count: times)).requiresGrad(true)
        let all = try Tensor((0..<times).flatMap { _ in labels })
        let total = try crossEntropy(many, labels: all, head: dense(head))
        #expect(try Swift.abs(total.item() / (loss.item() * Double(times)) - 1) < 1e-6)
        try total.backward()
        let gradient = try #require(x.grad)
        try expectClose(many.grad, concatenated(Array(repeating: gradient, count: times)))
    }

    @Test("a packed head of several panels equals its expanded form")
    func packed() throws {
        let (V, C) = (9000, 32)  // panels have 4,096 rows
        var stream = RandomStream(seed: 4, purpose: "blocks")
        let bytes = (0..<V * 34).map { place in
            place % 34 == 0 ? UInt8(0) : place % 34 == 1 ? 0x24 : UInt8(truncatingIfNeeded: stream.next())
        }
        let head = StoredWeight(try Tensor(bytes), ggmlType: 8, outputs: V, inputs: C)  // scales of 2⁻⁶
        let labels = [0, 8999, -100, 4095, 4096, 8192, 17]
        let (one, other) = (try noise(7, C).requiresGrad(true), try noise(7, C).requiresGrad(true))
        let (loss, expected) = (
            try crossEntropy(one, labels: Tensor(labels), head: head), try plain(other, labels, expanded(head))
        )
        try expectClose(loss, expected, atol: 1e-4)
        try (loss * 0.25).backward()
        try (expected * 0.25).backward()
        try expectClose(one.grad, other.grad, atol: 1e-5)
        // The same through fp64, where the head is expanded as a whole.
        try expectClose(
            crossEntropy(one.detach().to(.float64), labels: Tensor(labels), head: head), expected, atol: 1e-4)
    }

    @Test("a loss without gradients equals the one with them, and large logits stay finite")
    func evaluation() throws {
        let head = dense(try noise(30, 8, seed: 2) * 200)
        let x = try (noise(5, 8) * 50).requiresGrad(true)
        let labels = try Tensor([1, 29, -100, 0, 3])
        let loss = try crossEntropy(x, labels: labels, head: head)
        let alone = try withoutGradients { try crossEntropy(x, labels: labels, head: head) }
        #expect(try loss.item() == alone.item() && loss.item().isFinite && !alone.requiresGrad)
        try expectClose(loss, plain(x, [1, 29, -100, 0, 3], head.data), atol: 0.1, rtol: 1e-6)
        try loss.backward()
        #expect(try x.grad?.isFinite().all().item() == 1)
    }

    @Test("labels outside the vocabulary and shapes that do not fit are refused")
    func refused() throws {
        let (x, head) = (try noise(2, 8), try noise(11, 8, seed: 2))
        func call(_ labels: [Int], _ head: StoredWeight) throws {
            _ = try crossEntropy(x, labels: Tensor(labels), head: head)
        }
        #expect(message { try call([1, 11], dense(head)) }?.contains("outside the 11 entries") == true)
        #expect(message { try call([1], dense(head)) }?.contains("labels [1]") == true)
        #expect(message { try call([1, 2], StoredWeight(head, outputs: 12, inputs: 8)) }?.contains("[11, 8]") == true)
        #expect(message { try call([1, 2], StoredWeight(head, outputs: 0, inputs: 8)) } != nil)
        #expect(message { try call([1, 2], dense(noise(11, 9))) }?.contains("[11, 9]") == true)
        #expect(message { _ = try crossEntropy(x, labels: Tensor([1, 2] as [Int32]), head: dense(head)) } != nil)
        let bytes = StoredWeight(try Tensor([UInt8](repeating: 0, count: 33)), ggmlType: 8, outputs: 1, inputs: 8)
        #expect(message { try call([0, 0], bytes) }?.contains("blocks of 32") == true)
    }
}
