// How much there is to do: steps, tokens, and the largest and the usual micro-batch.

import Datasets
import Foundation
import Runs

/// The steps and micro-batches of a run.
struct PlannedWork {
    let totalSteps, stepsPerEpoch: Int
    /// Over the whole run.
    let tokens, supervised: Int
    /// Micro-batches of the whole run.
    let microBatches: Int
    let largest: MicroBatch
    /// The mean over all samples, times the samples of a usual micro-batch.
    let usual: MicroBatch
    let samples: [MicroBatch]
    /// Held back.
    let validation: MicroBatch

    /// What is computed at once.
    struct MicroBatch {
        /// Padding included, where there is any.
        var tokens = 0
        var supervised = 0
        /// Σ length², what attention's work grows with.
        var squares = 0
        /// The longest sample.
        var longest = 0

        static func of(_ samples: [MicroBatch], padded: Bool) -> MicroBatch {
            let longest = samples.map(\.longest).max() ?? 0
            let supervised = samples.reduce(0) { $0 + $1.supervised }
            guard !padded else {
                let count = samples.count
                return MicroBatch(
                    tokens: longest * count, supervised: supervised, squares: longest * longest * count,
                    longest: longest)
            }
            return MicroBatch(
                tokens: samples.reduce(0) { $0 + $1.tokens }, supervised: supervised,
                squares: samples.reduce(0) { $0 + $1.squares }, longest: longest)
        }
    }

    init(_ data: TextData, _ configuration: Configuration) {
        func sizes(_ samples: [Sample]) -> [MicroBatch] {
            samples.map { sample in
                let length = sample.tokens.count
                return MicroBatch(
                    tokens: length, supervised: sample.trainedCount, squares: length * length, longest: length)
            }
        }
        samples = sizes(data.training)
        validation = .of(sizes(data.validation), padded: false)
        totalSteps = configuration.schedule.totalSteps(stepsPerEpoch: data.plan.stepsPerEpoch)
        stepsPerEpoch = data.plan.stepsPerEpoch
        let found = Self.walk(data.plan, samples, steps: totalSteps, padded: !configuration.data.packing)
        (largest, tokens, supervised, microBatches) = (found.largest, found.tokens, found.supervised, found.count)
        let count = max(1, found.count)
        usual = MicroBatch(
            tokens: found.tokens / count, supervised: found.supervised / count, squares: found.squares / count,
            longest: found.largest.longest)
    }

    private struct Walk {
        var largest = MicroBatch()
        var (tokens, supervised, squares, count) = (0, 0, 0, 0)

        mutating func add(_ batch: MicroBatch, times: Int = 1) {
            if batch.tokens > largest.tokens { largest = batch }
            tokens += batch.tokens * times
            supervised += batch.supervised * times
            squares += batch.squares * times
            count += times
        }
    }

    /// The very micro-batches that training will have, up to a number of epochs; beyond it, they repeat.
    private static func walk(_ plan: BatchPlan, _ samples: [MicroBatch], steps: Int, padded: Bool) -> Walk {
        let mostSamples = 2_000_000
        let epochs = (steps + plan.stepsPerEpoch - 1) / plan.stepsPerEpoch
        let walked = max(1, min(epochs, mostSamples / samples.count))
        var walk = Walk()
        for epoch in 0..<walked {
            // The last of the walked epochs stands for those that are not.
            let times = epoch == walked - 1 ? epochs - epoch : 1
            let left = steps - epoch * plan.stepsPerEpoch
            for step in plan.steps(epoch: epoch).prefix(max(0, left)) {
                for batch in step { walk.add(.of(batch.map { samples[$0] }, padded: padded), times: times) }
            }
        }
        return walk
    }

    /// The largest micro-batch of so many samples that any order can give.
    func largest(batchSize: Int, padded: Bool, maxLength: Int = .max) -> MicroBatch {
        let cut = samples.map { sample in
            let length = min(sample.tokens, maxLength)
            return MicroBatch(
                tokens: length, supervised: min(sample.supervised, length), squares: length * length, longest: length)
        }
        return .of(Array(cut.sorted { $0.tokens > $1.tokens }.prefix(max(1, batchSize))), padded: padded)
    }
}
