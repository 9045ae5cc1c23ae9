// lora::rms_norm, lora::swiglu and lora::rope against PyTorch and transformers.

import Foundation
import TestSupport
import Testing

@testable import Torch

@Suite("Norm, gate and rotation operators")
struct RowKernelTests {
    /// Expects y and the gradient of x that the golden has, from `body`, in fp32 and as other devices compute.
    private func compare(_ name: String, _ body: (GoldenTensors, Tensor) throws -> Tensor) throws {
        let golden = try GoldenTensors("kernels-\(name)")
        for (dtype, atol, rtol) in [
            (DType.float32, Float(1e-5), Float(1e-5)), (.float64, 1e-5, 1e-5), (.bfloat16, 0.06, 0.04),
        ] {
            let x = try golden["x"].to(dtype).requiresGrad(true)
            let y = try body(golden, x)
            #expect(y.dtype == dtype)
            try expectClose(y, golden["y"], atol: atol, rtol: rtol, "\(name) \(dtype): y")
            try y.backward(golden["dy"].to(dtype))
            try expectClose(x.grad, golden["grad.x"], atol: atol, rtol: rtol, "\(name) \(dtype): x")
        }
    }

    @Test("the root-mean-square norm equals LlamaRMSNorm")
    func norm() throws { try compare("rms_norm") { try rmsNorm($1, $0["weight"], epsilon: 1e-5) } }

    @Test("the gate equals silu(gate) · up")
    func gate() throws { try compare("swiglu") { try swiglu($1) } }

    @Test("the rotation equals apply_rotary_pos_emb, positions in any order")
    func rotation() throws {
        try compare("rope") { golden, x in
            try rope(x, cosines: golden["cos"], sines: golden["sin"], positions: golden["positions"])
        }
    }

    @Test("inputs and gradients of any strides are read by their elements")
    func strides() throws {
        let weight = try noise(10, seed: 2)
        let golden = try GoldenTensors("kernels-rope")
        let (cosines, sines) = (try golden["cos"], try golden["sin"])
        let places = try Tensor([3, 1, 4])
        let bodies: [(Tensor) throws -> Tensor] = [
            { try rmsNorm($0, weight, epsilon: 1e-6) },
            { try swiglu($0) },
            {
                try rope(
                    $0.view(3, 20, 10).narrow(2, 0, 10).reshape(3, 20, 10), cosines: cosines.narrow(1, 0, 5),
                    sines: sines.narrow(1, 0, 5), positions: places)
            },
        ]
        for body in bodies {
            let (one, other) = (try noise(10, 60).requiresGrad(true), try noise(10, 60).requiresGrad(true))
            let (y, expected) = (try body(one.transpose(0, 1)), try body(other.transpose(0, 1).contiguous()))
            try expectClose(y, expected, atol: 0, rtol: 0)
            try y.transpose(0, 1).sum().backward()  // a gradient without strides
            try expected.transpose(0, 1).backward(.full(expected.transpose(0, 1).shape, 1))
            try expectClose(one.grad, other.grad, atol: 1e-6)
        }
    }

    @Test("large and tiny numbers neither overflow nor turn into NaN")
    func extremes() throws {
        let gates: [Float] = [-1e4, -200, -88, -30, 0, 30, 88, 200, 1e4]
        let x = try Tensor(gates + gates.map { _ in 1 }, [1, 18]).requiresGrad(true)
        let y = try swiglu(x)
        let expected = gates.map { Float(Double($0) / (1 + exp(-Double($0)))) }
        expectClose(actual: try y.array(), expected: expected, atol: 1e-6, rtol: 1e-6)
        try y.sum().backward()
        #expect(try x.grad?.isFinite().all().item() == 1)
        let zeros = try rmsNorm(
            Tensor([0, 0, 1e-30, -1e-30] as [Float], [2, 2]), Tensor([1, 1] as [Float]), epsilon: 1e-5)
        #expect(try zeros.isFinite().all().item() == 1)
    }

    @Test("shapes that do not fit, and places outside the tables, are refused")
    func refused() throws {
        #expect(message { _ = try rmsNorm(noise(2, 5), noise(4), epsilon: 1e-5) }?.contains("[2, 5]") == true)
        #expect(message { _ = try swiglu(noise(2, 5)) }?.contains("is not even") == true)
        let (x, table) = (try noise(2, 3, 4), try noise(8, 2))
        func turned(_ places: Tensor, _ table: Tensor) throws {
            _ = try rope(x, cosines: table, sines: table, positions: places)
        }
        try turned(Tensor([0, 7]), table)
        #expect(message { try turned(Tensor([0]), table) }?.contains("positions [1]") == true)
        #expect(message { try turned(Tensor([0, 8]), table) }?.contains("8") == true)
        #expect(message { try turned(Tensor([-1, 0]), table) }?.contains("-1") == true)
        #expect(message { try turned(Tensor([0, 1] as [Int32]), table) } != nil)
        #expect(message { try turned(Tensor([0, 7]), table.to(.float64)) } != nil)
        #expect(message { _ = try rope(x, cosines: table, sines: noise(4, 2), positions: Tensor([0, 7])) } != nil)
    }

    @Test("nothing in, nothing out")
    func empty() throws {
        #expect(try rmsNorm(noise(0, 4), noise(4), epsilon: 1e-5).shape == [0, 4])
        #expect(try rmsNorm(noise(3, 0), noise(0), epsilon: 1e-5).shape == [3, 0])
        #expect(try swiglu(noise(3, 0)).shape == [3, 0])
        let table = try noise(8, 2)
        #expect(try rope(noise(0, 3, 4), cosines: table, sines: table, positions: Tensor([Int]())).shape == [0, 3, 4])
    }
}
