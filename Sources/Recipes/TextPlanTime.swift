// How long a run will take: its arithmetic, at the rate that this machine shows on the model's own shapes.

import Foundation
import Models
import NN
import Runs
import Torch

/// Floating-point operations of a micro-batch.
struct PlannedArithmetic {
    let base: PlannedBase
    let adapter: PlannedAdapter
    let checkpointsGradients: Bool

    /// Operations of frozen and adapted linear layers for each token: twice the weights forward, the same on the way
    /// back where there is one, and forward again with gradient checkpointing. Frozen weights have no gradients.
    private var perToken: Double {
        let all = Double(2 * base.linearElements)
        let backShare = Double(base.config.layers - adapter.firstLayer) / Double(base.config.layers)
        let passes = checkpointsGradients ? 3 : 1 + backShare
        return all * passes + Double(6 * adapter.parameters)
    }

    /// Forward and backward.
    func training(_ batch: PlannedWork.MicroBatch) -> Double {
        let attention = Double(2 * base.config.heads * base.config.headSize * base.config.layers)
        let head = Double(4 * base.headElements)
        return perToken * Double(batch.tokens) + 3.5 * attention * Double(batch.squares)
            + head * Double(batch.supervised)
    }

    /// Forward alone.
    func looking(_ batch: PlannedWork.MicroBatch) -> Double {
        Double(2 * base.linearElements) * Double(batch.tokens) + Double(2 * base.headElements * batch.supervised)
    }
}

/// A guess of how long a run will take.
struct PlannedTime {
    let stepSeconds: Double
    let validationSeconds: Double
    let answerSeconds: Double
    let startSeconds: Double
    let totalSeconds: Double
    /// Operations a second in the linear layers, expansion of their weights included.
    let rate: Double
    /// Real tokens a second while training.
    let tokensPerSecond: Double
    /// Whether the machine was measured; a GPU is not.
    let isMeasured: Bool

    /// Runs take this much longer than their large products alone: norms, rotations, attention's small blocks, the
    /// low-rank terms and the optimizer. From runs of SmolLM2-135M on two cores.
    private static let overhead = 1.55
    /// The same for answers, whose products are small.
    private static let answerOverhead = 1.3

    init(
        _ base: PlannedBase, _ adapter: PlannedAdapter, _ work: PlannedWork, _ configuration: Configuration,
        _ placement: Placement
    ) throws {
        let arithmetic = PlannedArithmetic(
            base: base, adapter: adapter, checkpointsGradients: configuration.run.gradientCheckpointing)
        isMeasured = placement.device == .cpu
        let meter = Meter(base)
        rate = try isMeasured ? meter.rate(rows: max(1, work.usual.tokens)) : 50e12
        let all = Double(work.microBatches) * arithmetic.training(work.usual)
        let training = all / rate * Self.overhead
        stepSeconds = training / Double(max(1, work.totalSteps))

        let interval = configuration.run.evalSteps ?? work.stepsPerEpoch
        let validations = work.validation.tokens == 0 ? 0 : (work.totalSteps + interval - 1) / max(1, interval)
        validationSeconds = Double(validations) * arithmetic.looking(work.validation) / rate * Self.overhead

        let rounds = configuration.samples.steps.map { 1 + (work.totalSteps + $0 - 1) / max(1, $0) } ?? 2
        let questions = configuration.samples.prompts.count
        if questions > 0 {
            let slow = try isMeasured ? meter.rate(rows: questions) : 5e12
            let token = Double(2 * (base.linearElements + base.headElements) * questions) / slow
            answerSeconds =
                Double(rounds * configuration.samples.maxTokens) * token * Self.answerOverhead
        } else {
            answerSeconds = 0
        }
        startSeconds = 0.5 + Double(base.bytes) / 1.5e9
        totalSeconds = startSeconds + training + validationSeconds + answerSeconds
        tokensPerSecond = Double(work.tokens) / max(1e-9, training)
    }
}

/// Measures the linear layers of a model on weights that hold zeros, stored as the model's are.
private struct Meter {
    private let shapes: [(inputs: Int, outputs: Int)]
    private let type: Int?
    private let blockSize, blockBytes: Int
    /// Enough for a steady figure, and over in a moment.
    private static let mostOperations = 2e9
    private static let seconds = 0.05

    init(_ base: PlannedBase) {
        let config = base.config
        shapes = [
            (config.hiddenSize, 2 * config.intermediateSize), (config.intermediateSize, config.hiddenSize),
            (config.hiddenSize, (config.heads + 2 * config.keyValueHeads) * config.headSize),
        ]
        let stored = base.types.first ?? .f32
        type = stored == .f32 ? nil : stored.ggmlType.map(Int.init)
        (blockSize, blockBytes) = (stored.blockSize, stored.blockBytes)
    }

    /// Operations a second for products with so many rows.
    func rate(rows: Int) throws -> Double {
        var (operations, seconds) = (0.0, 0.0)
        for shape in shapes {
            let measured = try measure(shape.inputs, shape.outputs, rows: min(rows, 2048))
            operations += measured.operations
            seconds += measured.seconds
        }
        return operations / max(1e-9, seconds)
    }

    /// Operations of one product, and the seconds it took at best.
    private func measure(_ inputs: Int, _ outputs: Int, rows: Int) throws -> (operations: Double, seconds: Double) {
        let affordable = Int(Self.mostOperations / Double(2 * inputs * rows))
        let count = max(1, min(outputs, affordable))
        let weight = try weight(count, inputs)
        let x = try Tensor.full([rows, inputs], 0.5)
        let operations = 2 * Double(rows) * Double(inputs) * Double(count)
        return try withoutGradients {
            _ = try linear(x, [weight])
            let (start, startOfProcess) = (ContinuousClock.now, Self.processSeconds)
            var (best, times) = (Double.infinity, 0)
            repeat {
                let before = ContinuousClock.now
                _ = try linear(x, [weight])
                best = min(best, (ContinuousClock.now - before) / .seconds(1))
                times += 1
            } while times < 3 || (ContinuousClock.now - start) / .seconds(1) < Self.seconds
            // Other programs make the clock run on, but not this process's own time: the smaller is the machine's.
            let own = (Self.processSeconds - startOfProcess) / Double(times * max(1, Accelerator.threads))
            return (operations, own > 0 ? min(best, own) : best)
        }
    }

    /// Seconds that processors have worked for this process so far.
    private static var processSeconds: Double {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private func weight(_ outputs: Int, _ inputs: Int) throws -> StoredWeight {
        guard let type, inputs.isMultiple(of: blockSize) else {
            return StoredWeight(try .zeros([outputs, inputs]), outputs: outputs, inputs: inputs)
        }
        let bytes = try Tensor.zeros([outputs * inputs / blockSize * blockBytes], .uint8)
        return StoredWeight(bytes, ggmlType: type, outputs: outputs, inputs: inputs)
    }
}
