// Which pictures are trained together in which step: a pure function of seed and epoch.

/// One use of a picture in training.
public struct PictureUse: Sendable, Hashable {
    /// Which of the plan's samples.
    public let sample: Int
    /// Counts the uses of this sample over all epochs; its caption follows from it.
    public let draw: Int
    /// Whether left and right are exchanged.
    public let isFlipped: Bool
}

/// The order of pictures in training. Nothing needs to be stored to resume at any step.
///
/// A micro-batch has pictures of one bucket; the last of a bucket may be smaller, and so may the last step.
public struct PictureBatchPlan: Sendable {
    /// Pictures of a micro-batch.
    public let batchSize: Int
    /// Micro-batches of a step.
    public let accumulation: Int
    /// Whether half of the uses, by chance, are flipped.
    public let flips: Bool
    /// What the order of every epoch follows from.
    public let seed: UInt64
    /// Uses of an epoch.
    public let usesPerEpoch: Int
    /// The samples of each bucket, each as often as it is repeated.
    private let buckets: [(size: PictureSize, uses: [(sample: Int, repetition: Int)])]
    private let repeats: [Int]

    /// Makes a plan for samples; `accumulation` micro-batches make a step.
    public init(
        _ samples: [PictureSample], batchSize: Int, accumulation: Int = 1, flips: Bool = false, seed: UInt64
    ) throws {
        guard !samples.isEmpty else {
            throw DatasetError.option("training data", problem: "there are no pictures to plan for")
        }
        try BatchPlan.check(batchSize: batchSize, accumulation: accumulation)
        (self.batchSize, self.accumulation, self.flips, self.seed) = (batchSize, accumulation, flips, seed)
        repeats = samples.map(\.repeats)
        let indices = Dictionary(grouping: samples.indices) { samples[$0].fit.bucket }
        buckets = indices.sorted { $0.key < $1.key }.map { size, indices in
            (size, indices.flatMap { index in (0..<samples[index].repeats).map { (index, $0) } })
        }
        usesPerEpoch = repeats.reduce(0, +)
    }

    /// The last step of an epoch may have fewer micro-batches.
    public var stepsPerEpoch: Int {
        let batches = buckets.reduce(0) { $0 + ($1.uses.count + batchSize - 1) / batchSize }
        return (batches + accumulation - 1) / accumulation
    }

    /// The steps of an epoch: micro-batches of uses.
    public func steps(epoch: Int) -> [[[PictureUse]]] {
        var generator = SplitMix64(seed: seed, member: epoch)
        var batches: [[PictureUse]] = []
        for bucket in buckets {
            let order = generator.permutation(bucket.uses.count)
            for start in stride(from: 0, to: order.count, by: batchSize) {
                batches.append(
                    order[start..<min(start + batchSize, order.count)].map { place in
                        let (sample, repetition) = bucket.uses[place]
                        // Drawn whether needed or not, so that the option does not change the order.
                        let isFlipped = generator.next() >> 63 == 1
                        return PictureUse(
                            sample: sample, draw: epoch * repeats[sample] + repetition, isFlipped: flips && isFlipped)
                    })
            }
        }
        let shuffled = generator.permutation(batches.count).map { batches[$0] }
        return stride(from: 0, to: shuffled.count, by: accumulation).map {
            Array(shuffled[$0..<min($0 + accumulation, shuffled.count)])
        }
    }

    /// The micro-batches of one step, counted from 0 within its epoch; empty beyond the last.
    public func microBatches(epoch: Int, step: Int) -> [[PictureUse]] {
        let steps = steps(epoch: epoch)
        return steps.indices.contains(step) ? steps[step] : []
    }

    /// The size and the number of pictures of the micro-batch with most pixels: what memory must hold.
    public var largestMicroBatch: (size: PictureSize, count: Int) {
        let all = buckets.map { ($0.size, min(batchSize, $0.uses.count)) }
        func pixels(_ batch: (PictureSize, Int)) -> Int { batch.0.width * batch.0.height * batch.1 }
        return all.max { pixels($0) < pixels($1) } ?? (PictureSize(0, 0), 0)
    }
}
