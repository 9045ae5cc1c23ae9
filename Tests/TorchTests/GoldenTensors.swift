// Golden tensors, noise from a seed, and comparisons of tensors.

import Formats
import TestSupport
import Testing
import Torch

/// A golden file whose tensors are made anew at each request.
struct GoldenTensors {
    private let file: SafetensorsFile

    init(_ name: String) throws { file = try SafetensorsFile(goldens.appendingPathComponent("\(name).safetensors")) }

    func has(_ key: String) -> Bool { file.tensors[key] != nil }

    subscript(_ key: String) -> Tensor {
        get throws {
            let stored = try file.tensor(key)
            switch stored.type {
            case .u8: return try Tensor([UInt8](stored.data()), stored.shape)
            case .i64: return try Tensor(stored.floats().map { Int($0) }, stored.shape)
            default: return try Tensor(stored.floats(), stored.shape)
            }
        }
    }

    /// A tensor that asks for gradients.
    func leaf(_ key: String) throws -> Tensor { try self[key].requiresGrad(true) }
}

/// Numbers in -1 ..< 1, the same for the same seed.
func noise(_ shape: Int..., seed: Int = 1) throws -> Tensor {
    var stream = RandomStream(seed: seed, purpose: "test")
    return try Tensor((0..<shape.reduce(1, *)).map { _ in 2 * stream.uniform() - 1 }, shape)
}

/// The sum of all elements, each times a fixed number of its own, so that every gradient is different.
func weighed(_ x: Tensor) throws -> Tensor {
    let weights = (0..<x.count).map { Float(($0 * 7) % 13 - 6) / 6 }
    return try (x * Tensor(weights, x.shape).to(x.dtype)).sum()
}

/// Expects the same shape and, element by element, the same numbers.
func expectClose(
    _ actual: Tensor?, _ expected: Tensor?, atol: Float = 1e-5, rtol: Float = 1e-5, _ what: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let actual = try #require(actual, "\(what): nothing to compare", sourceLocation: sourceLocation)
    let expected = try #require(expected, "\(what): nothing to compare with", sourceLocation: sourceLocation)
    #expect(actual.shape == expected.shape, "\(what)", sourceLocation: sourceLocation)
    expectClose(
        actual: try actual.array(), expected: try expected.array(), atol: atol, rtol: rtol, what,
        sourceLocation: sourceLocation)
}

/// What `body` says when it throws; nil when it does not.
func message(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return "\(error)"
    }
}
