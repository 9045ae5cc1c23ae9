// Applies the longest allowed length, and counts what it did.

/// What the limit on length did to the samples.
struct LengthLimit {
    let maximum: Int?
    let policy: LengthPolicy
    private(set) var truncated = 0
    private(set) var split = 0
    /// Left out because they were too long, or because nothing trained was left of them.
    private(set) var dropped = 0
    private(set) var cutAnswers = 0

    init(_ options: TextDataOptions) throws {
        if let maximum = options.maxLength, maximum < 2 {
            throw DatasetError.option("max_length", problem: "expected at least 2, got \(maximum)")
        }
        (maximum, policy) = (options.maxLength, options.lengthPolicy)
    }

    /// What is left of a sample.
    mutating func apply(_ sample: Sample) -> [Sample] {
        guard let maximum, sample.tokens.count > maximum else { return [sample] }
        switch policy {
        case .drop:
            dropped += 1
            return []
        case .truncate:
            let cut = part(sample, 0..<maximum)
            if cut.trainedCount < sample.trainedCount { cutAnswers += 1 }
            guard cut.trainedCount > 0 else {
                dropped += 1
                return []
            }
            truncated += 1
            return [cut]
        case .split:
            let parts = stride(from: 0, to: sample.tokens.count, by: maximum)
                .map { part(sample, $0..<min($0 + maximum, sample.tokens.count)) }
                .filter { $0.trainedCount > 0 }
            if parts.isEmpty { dropped += 1 } else { split += 1 }
            return parts
        }
    }

    private func part(_ sample: Sample, _ range: Range<Int>) -> Sample {
        Sample(
            tokens: Array(sample.tokens[range]), isTrained: Array(sample.isTrained[range]), source: sample.source)
    }
}
