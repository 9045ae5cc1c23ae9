// A small random number generator whose sequence is the same on every machine.
// SplitMix64 by Sebastiano Vigna, https://prng.di.unimi.it/splitmix64.c

/// A repeatable source of random numbers.
struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// The sequence of one of many, such as an epoch: mixed, so that neighbouring seeds share none.
    init(seed: UInt64, member: Int) {
        var mixer = SplitMix64(seed: seed)
        state = mixer.next() ^ UInt64(bitPattern: Int64(member)) &* 0xD6E8_FEB8_6659_FD93
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A number below `bound` (Lemire, arXiv:1805.10941), independent of the standard library's own method.
    mutating func next(below bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        let limit = UInt64(bound)
        while true {
            let product = next().multipliedFullWidth(by: limit)
            if product.low >= limit || product.low >= (0 &- limit) % limit { return Int(product.high) }
        }
    }

    /// A number from 0 to below 1.
    mutating func nextShare() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// The numbers `0..<count` in random order (Fisher–Yates).
    mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<max(0, count))
        for index in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(index, next(below: index + 1))
        }
        return order
    }
}
