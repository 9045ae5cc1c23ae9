// lora::group_norm_silu and lora::geglu give what the operators that they stand for give.

import Foundation
import TestSupport
import Testing

@testable import Torch

@Suite("Operators that keep their input alone")
struct RecomputedKernelTests {
    /// Expects the outputs and the input's gradients of both to agree.
    private func compare(
        _ shape: [Int], _ dtype: DType, within tolerance: Float, _ ours: (Tensor) throws -> Tensor,
        _ theirs: (Tensor) throws -> Tensor
    ) throws {
        let values = try noise(shape.reduce(1, *)).array(Float.self)
        func input() throws -> Tensor { try Tensor(values, shape).to(dtype).requiresGrad(true) }
        let (x, other) = (try input(), try input())
        // A view with other strides: the last two dimensions exchanged and back.
        // A view whose last two dimensions lie the other way round.
        let y = try ours(x.transpose(-1, -2).contiguous().transpose(-1, -2)), expected = try theirs(other)
        try expectClose(y.to(.float32), expected.to(.float32), atol: tolerance)
        let gradient = try noise(expected.count, seed: 9).to(dtype)
        for out in [y, expected] { try out.reshape(-1).backward(gradient) }
        try expectClose(
            #require(x.grad).to(.float32), #require(other.grad).to(.float32), atol: tolerance)
    }

    @Test("the norm with SiLU", arguments: [(DType.float32, Float(2e-6)), (.float64, 1e-6), (.bfloat16, 0.05)])
    func norm(dtype: DType, tolerance: Float) throws {
        let (weight, bias) = (try noise(12, seed: 2).to(dtype), try noise(12, seed: 3).to(dtype))
        try compare([2, 12, 5, 7], dtype, within: tolerance) {
            try groupNormSiLU($0, groups: 4, weight, bias, epsilon: 1e-5)
        } _: {
            try $0.groupNorm(4, weight, bias, epsilon: 1e-5).silu()
        }
    }

    @Test("the gate with GELU", arguments: [(DType.float32, Float(2e-6)), (.float64, 1e-6), (.bfloat16, 0.05)])
    func gate(dtype: DType, tolerance: Float) throws {
        try compare([3, 5, 14], dtype, within: tolerance) {
            try geglu($0)
        } _: { x in
            let halves = try x.split([7, 7], dim: -1)
            return try halves[0] * halves[1].gelu()
        }
    }

    @Test("shapes that do not fit are refused with their sizes")
    func refused() throws {
        #expect(message { _ = try geglu(noise(2, 5)) }?.contains("the last dimension of [2, 5] is not even") == true)
        let (four, three) = (try noise(4), try noise(3))
        let groups = message { _ = try groupNormSiLU(noise(1, 4, 2), groups: 3, four, four, epsilon: 1e-5) }
        #expect(groups?.contains("x [1, 4, 2] in 3 groups") == true)
        let factors = message { _ = try groupNormSiLU(noise(1, 4, 2), groups: 2, three, four, epsilon: 1e-5) }
        #expect(factors?.contains("factors [3] and offsets [4]") == true)
    }
}
