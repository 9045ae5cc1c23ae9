// Random numbers that are functions of a seed and a purpose, so that a run resumes without any generator's state.

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
