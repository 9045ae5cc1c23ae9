// Random numbers that are functions of a seed and a purpose, so that a run resumes without any generator's state.

import Foundation

/// A stream of random numbers for one purpose: SplitMix64 (Steele et al., OOPSLA 2014).
public struct RandomStream: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Streams of different purposes are independent; the same seed and purpose always give the same stream.
    public init(seed: Int, purpose: String) {
        let start = UInt64(bitPattern: Int64(seed)) ^ 0xCBF2_9CE4_8422_2325
        state = purpose.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }  // FNV-1a
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in 0 ..< 1.
    public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }
}

extension RandomStream {
    /// Normal numbers in the order of a tensor's elements (Box and Muller, 1958).
    public mutating func normals(_ count: Int) -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(count + 1)
        while values.count < count {
            // Never 0, whose logarithm is infinite.
            let radius = (-2 * Foundation.log(Double(next() >> 11 | 1) * 0x1p-53)).squareRoot()
            let angle = 2 * Double.pi * Double(next() >> 11) * 0x1p-53
            values.append(Float(radius * Foundation.cos(angle)))
            values.append(Float(radius * Foundation.sin(angle)))
        }
        if values.count > count { values.removeLast() }
        return values
    }

    /// A tensor of normal numbers in `float32`, the same on every device.
    public mutating func normal(_ shape: [Int], on device: Device = .cpu) throws -> Tensor {
        try Tensor(normals(shape.reduce(1, *)), shape).to(device)
    }
}
