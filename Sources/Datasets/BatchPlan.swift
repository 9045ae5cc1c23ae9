// Which samples are trained together in which step: a pure function of seed, epoch and step.

/// The order of samples in training. Nothing needs to be stored to resume at any step.
public struct BatchPlan: Sendable, Equatable {
    /// Tokens of each sample, in the data's order.
    public let sampleLengths: [Int]
    /// Samples of a micro-batch.
    public let batchSize: Int
    /// Micro-batches of a step.
    public let accumulation: Int
    /// What the order of every epoch follows from.
    public let seed: UInt64

    /// Makes a plan for samples of these lengths in tokens.
    public init(sampleLengths: [Int], batchSize: Int, accumulation: Int = 1, seed: UInt64) throws {
        guard !sampleLengths.isEmpty else {
            throw DatasetError.option("training data", problem: "there are no samples to plan for")
        }
        try Self.check(batchSize: batchSize, accumulation: accumulation)
        (self.sampleLengths, self.batchSize) = (sampleLengths, batchSize)
        (self.accumulation, self.seed) = (accumulation, seed)
    }

    /// Refuses impossible sizes.
    static func check(batchSize: Int, accumulation: Int) throws {
        for (name, value) in [("batch_size", batchSize), ("gradient_accumulation_steps", accumulation)] {
            guard (1...1_000_000).contains(value) else {
                throw DatasetError.option(name, problem: "expected 1 to 1000000, got \(value)")
            }
        }
    }

    /// Samples of a full step.
    public var samplesPerStep: Int { batchSize * accumulation }

    /// The last step of an epoch may have fewer samples.
    public var stepsPerEpoch: Int { (sampleLengths.count + samplesPerStep - 1) / samplesPerStep }

    /// The order of the samples in an epoch.
    public func order(epoch: Int) -> [Int] {
        var generator = SplitMix64(seed: seed, member: epoch)
        return generator.permutation(sampleLengths.count)
    }

    /// The steps of an epoch: micro-batches of sample indices.
    public func steps(epoch: Int) -> [[[Int]]] {
        let order = order(epoch: epoch)
        return (0..<stepsPerEpoch).map { microBatches(of: order, step: $0) }
    }

    /// The micro-batches of one step, counted from 0 within its epoch; empty beyond the last.
    public func microBatches(epoch: Int, step: Int) -> [[Int]] {
        microBatches(of: order(epoch: epoch), step: step)
    }

    private func microBatches(of order: [Int], step: Int) -> [[Int]] {
        guard (0..<stepsPerEpoch).contains(step) else { return [] }
        let start = step * samplesPerStep
        let end = min(start + samplesPerStep, order.count)
        return stride(from: start, to: end, by: batchSize).map { Array(order[$0..<min($0 + batchSize, end)]) }
    }

    /// Tokens of the largest micro-batch that any order can give: what memory must hold.
    public var largestMicroBatch: Int {
        sampleLengths.sorted(by: >).prefix(batchSize).reduce(0, +)
    }
}
