// lora::conv2d against libtorch's own convolution: dense and packed weights, strides, paddings, odd sizes, misfits.

import Formats
import Foundation
import NN
import TestSupport
import Testing

@testable import Torch

@Suite("Convolution operator")
struct ConvolutionKernelTests {
    /// A weight (outputs, inputs, K, K) as it is stored, and as a dense tensor of the same numbers.
    private struct Kernel {
        let stored: StoredWeight
        let dense: Tensor

        init(_ shape: [Int], isPacked: Bool) throws {
            let wide = try noise(shape.reduce(1, *), seed: 2), columns = shape.dropFirst().reduce(1, *)
            let narrow = try isPacked ? wide.to(.float16) : wide
            dense = try Tensor(narrow.array(Float.self), shape)
            let data =
                try isPacked ? Tensor(narrow.withBytes { [UInt8]($0) }) : dense.reshape(shape[0], columns)
            stored = StoredWeight(data, ggmlType: isPacked ? 1 : nil, outputs: shape[0], inputs: columns)
        }
    }

    /// Input, kernel size, stride and padding.
    static let cases: [(size: [Int], kernel: Int, stride: Int, padding: Int)] = [
        ([2, 5, 8, 8], 3, 1, 1), ([2, 5, 9, 7], 3, 1, 0), ([1, 5, 9, 7], 3, 2, 1), ([2, 5, 8, 6], 3, 2, 1),
        ([2, 5, 8, 5], 3, 2, 0), ([1, 5, 7, 10], 3, 2, 0), ([3, 5, 4, 3], 1, 1, 0), ([2, 5, 5, 6], 1, 2, 0),
        ([1, 5, 3, 3], 3, 1, 0), ([1, 5, 1, 1], 3, 2, 1), ([2, 5, 11, 6], 4, 3, 2),
    ]

    @Test("dense and packed weights give libtorch's result and its gradient of x", arguments: cases, [false, true])
    func parity(_ given: (size: [Int], kernel: Int, stride: Int, padding: Int), isPacked: Bool) throws {
        let (size, stride, padding) = (given.size, given.stride, given.padding)
        let shape = [6, size[1], given.kernel, given.kernel]
        let kernel = try Kernel(shape, isPacked: isPacked), bias = try noise(6, seed: 3)
        let x = try noise(size.reduce(1, *)).reshape(size[0], size[1], size[2], size[3])
        let (ours, theirs) = (try x.clone().requiresGrad(true), try x.clone().requiresGrad(true))
        let y = try conv2d(ours, kernel.stored, shape, bias: bias, stride: stride, padding: padding)
        let plain = try theirs.conv2d(kernel.dense, stride: stride, padding: padding)
        try expectClose(y, plain + bias.view(6, 1, 1), "y")
        try weighed(y).backward()
        try weighed(plain).backward()
        try expectClose(ours.grad, theirs.grad, "x")
        let alone = try conv2d(x, kernel.stored, shape, bias: nil, stride: stride, padding: padding)
        try expectClose(alone, plain.detach(), "without bias")
        #expect(!alone.requiresGrad)
    }

    @Test("several packed weights one after the other do not disturb each other's gradients")
    func chained() throws {
        let x = try noise(2, 4, 6, 5)
        let first = try Kernel([4, 4, 3, 3], isPacked: true), second = try Kernel([3, 4, 1, 1], isPacked: true)
        let (ours, theirs) = (try x.clone().requiresGrad(true), try x.clone().requiresGrad(true))
        var y = try conv2d(ours, first.stored, [4, 4, 3, 3], bias: nil, stride: 1, padding: 1)
        y = try conv2d(y.silu(), second.stored, [3, 4, 1, 1], bias: nil, stride: 1, padding: 0)
        let plain = try theirs.conv2d(first.dense, padding: 1).silu().conv2d(second.dense)
        try expectClose(y, plain)
        try weighed(y).backward()
        try weighed(plain).backward()
        try expectClose(ours.grad, theirs.grad)
    }

    @Test("views of any strides and other types are read by their elements")
    func views() throws {
        let kernel = try Kernel([4, 3, 3, 3], isPacked: true), shape = [4, 3, 3, 3]
        let x = try noise(2, 7, 5, 3).transpose(1, 3)  // (2, 3, 5, 7), channels last
        let expected = try x.contiguous().conv2d(kernel.dense, padding: 1)
        try expectClose(conv2d(x, kernel.stored, shape, bias: nil, stride: 1, padding: 1), expected)
        for (dtype, tolerance) in [(DType.float64, Float(1e-5)), (.bfloat16, 0.06)] {
            let leaf = try x.to(dtype).requiresGrad(true)
            let y = try conv2d(leaf, kernel.stored, shape, bias: nil, stride: 1, padding: 1)
            try y.backward(y.detach())
            #expect(y.dtype == dtype && leaf.grad?.dtype == dtype)
            try expectClose(y.to(.float32), expected, atol: tolerance, rtol: 0.03)
        }
    }

    private final class Factors: Adapter {
        let factors: (a: Tensor, b: Tensor, scale: Double)
        var dropout: Dropout?
        init(_ a: Tensor, _ b: Tensor) { factors = (a, b, 1.5) }
    }

    /// A layer with the weights of `kernel` and a bias from noise, computing in `dtype`.
    private func layer(_ kernel: Kernel, _ dtype: DType) throws -> Conv2d {
        let layer = Conv2d(3, 4, kernel: 3, stride: 2, padding: 1)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("layer.safetensors")
            let entries = try [("weight", kernel.dense), ("bias", noise(4, seed: 3))].map { name, value in
                SafetensorsWriter.Entry(name: name, shape: value.shape, floats: try value.array())
            }
            try SafetensorsWriter.write(entries, to: url)
            let sources = try SafetensorsFile(url).tensors.mapValues { WeightSource($0) }
            try StoredModel(name: "layer", sources: sources).load(into: layer, on: Placement(.cpu, dtype))
        }
        return layer
    }

    @Test(
        "a layer's adapters are two convolutions on top, whose fp32 factors serve inputs of other types",
        arguments: [(DType.float32, Float(1e-5)), (.bfloat16, 0.2)])
    func adapters(_ dtype: DType, tolerance: Float) throws {
        let kernel = try Kernel([4, 3, 3, 3], isPacked: false), layer = try layer(kernel, dtype)
        let x = try noise(2, 3, 7, 6)
        let (a, b) = (try noise(2, 27, seed: 4).requiresGrad(true), try noise(4, 2, seed: 5).requiresGrad(true))
        layer.adapters = [Factors(a, b)]
        // ΔW = scale · B A, as a kernel.
        let update = try (b.matmul(a) * 1.5).view(4, 3, 3, 3)
        let y = try layer(x.to(dtype))
        let bias = try noise(4, seed: 3).view(4, 1, 1)
        let expected = try x.conv2d(kernel.dense + update, stride: 2, padding: 1) + bias
        #expect(y.dtype == dtype)
        try expectClose(y, expected, atol: tolerance)
        try weighed(y).backward()
        let (ours, ourB) = (try #require(a.grad), try #require(b.grad))
        try a.setGrad(nil)
        try b.setGrad(nil)
        try weighed(expected).backward()
        try expectClose(ours, a.grad, atol: tolerance)
        try expectClose(ourB, b.grad, atol: tolerance)
    }

    @Test("dropout zeroes an adapter's input alone")
    func dropout() throws {
        let kernel = try Kernel([4, 3, 3, 3], isPacked: false), layer = try layer(kernel, .float32)
        let (x, a, b) = (try noise(2, 3, 7, 6), try noise(2, 27, seed: 4), try noise(4, 2, seed: 5))
        let plain = try layer(x), factors = Factors(a, b)
        layer.adapters = [factors]
        let dropout = Dropout(probability: 0.5, seed: 7)
        factors.dropout = dropout
        let update = try (b.matmul(a) * 1.5).view(4, 3, 3, 3)
        let expected = try plain + (x * dropoutMask(like: x, dropout)).conv2d(update, stride: 2, padding: 1)
        try expectClose(layer(x), expected)
    }

    @Test("calls whose parts do not fit are refused with their sizes")
    func refused() throws {
        let kernel = try Kernel([4, 3, 3, 3], isPacked: false), packed = try Kernel([4, 3, 3, 3], isPacked: true)
        let x = try noise(1, 3, 5, 5)
        func call(
            _ x: Tensor, _ weight: StoredWeight, _ shape: [Int] = [4, 3, 3, 3], bias: Tensor? = nil, stride: Int = 1,
            padding: Int = 1
        ) -> String? {
            message { _ = try conv2d(x, weight, shape, bias: bias, stride: stride, padding: padding) }
        }
        #expect(call(x, kernel.stored) == nil && call(x, packed.stored) == nil)
        #expect(try call(noise(1, 2, 5, 5), kernel.stored)?.contains("[1, 2, 5, 5] for 3 channels") == true)
        #expect(try call(noise(3, 5, 5), kernel.stored)?.contains("[3, 5, 5] for 3 channels") == true)
        #expect(try call(noise(1, 3, 2, 5), kernel.stored, padding: 0)?.contains("kernel of 3 by 3") == true)
        #expect(call(x, kernel.stored, [5, 3, 3, 3])?.contains("[5, 27]") == true)
        #expect(call(x, packed.stored, [5, 3, 3, 3])?.contains("expected 270 bytes for 5 rows, got 216") == true)
        #expect(call(x, packed.stored, [4, 3, 3]) != nil)
        #expect(call(x, kernel.stored, [4, 3, 0, 3])?.contains("layout") == true)
        #expect(call(x, kernel.stored, stride: 0)?.contains("layout") == true)
        for padding in [-1, 1 << 40] { #expect(call(x, kernel.stored, padding: padding)?.contains("padding") == true) }
        #expect(try call(x, kernel.stored, bias: noise(5)) != nil)
        #expect(call(x, StoredWeight(packed.stored.data, ggmlType: 99, outputs: 4, inputs: 27))?.contains("99") == true)
    }
}
