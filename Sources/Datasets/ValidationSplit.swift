// Holds samples back from training, the same ones for the same seed.

/// Which samples are trained on and which are held back to validate.
public struct ValidationSplit: Sendable, Equatable {
    /// Indices in ascending order.
    public let training: [Int]
    /// Indices in ascending order.
    public let validation: [Int]

    /// Holds back `share` (0 to below 1) of `count` samples: the last ones, or by chance when there is a seed.
    ///
    /// A share above zero holds back at least one sample and leaves at least one.
    public init(count: Int, share: Double, seed: UInt64? = nil) throws {
        guard share >= 0, share < 1 else {
            throw DatasetError.option("validation_split", problem: "expected 0 to below 1, got \(share)")
        }
        guard share == 0 || count >= 2 else {
            throw DatasetError.option(
                "validation_split", problem: "\(count) samples cannot be divided; add data or set it to 0")
        }
        let held = share == 0 ? 0 : min(count - 1, max(1, Int((Double(count) * share).rounded())))
        var order = Array(0..<max(0, count))
        if let seed {
            var generator = SplitMix64(seed: seed)
            order = generator.permutation(count)
        }
        training = order.prefix(order.count - held).sorted()
        validation = order.suffix(held).sorted()
    }
}
