// The order of training: every sample once an epoch, the same order for the same seed, nothing to store.

import Testing

@testable import Datasets

@Suite("Batch plan")
struct BatchPlanTests {
    @Test("the generator gives the published sequence")
    func generator() {
        // The first outputs of splitmix64.c from the state 1234567.
        var generator = SplitMix64(seed: 1_234_567)
        let expected: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
        ]
        #expect((0..<4).map { _ in generator.next() } == expected)
    }

    @Test("every sample comes once an epoch, and the last step keeps what is left")
    func completeness() throws {
        let plan = try BatchPlan(sampleLengths: Array(1...23), batchSize: 3, accumulation: 2, seed: 42)
        #expect(plan.stepsPerEpoch == 4)
        for epoch in 0..<5 {
            let steps = plan.steps(epoch: epoch)
            #expect(steps.map { $0.map(\.count) } == [[3, 3], [3, 3], [3, 3], [3, 2]])
            #expect(steps.flatMap { $0.flatMap { $0 } }.sorted() == Array(0..<23))
            for step in 0..<4 { #expect(plan.microBatches(epoch: epoch, step: step) == steps[step]) }
        }
        #expect(plan.microBatches(epoch: 0, step: 4).isEmpty)
        #expect(plan.largestMicroBatch == 23 + 22 + 21)
    }

    @Test("the order depends on seed and epoch alone")
    func determinism() throws {
        let lengths = Array(repeating: 1, count: 50)
        let plan = try BatchPlan(sampleLengths: lengths, batchSize: 1, seed: 1)
        #expect(plan.order(epoch: 3) == plan.order(epoch: 3))
        #expect(plan.order(epoch: 3) != plan.order(epoch: 4))
        #expect(plan.order(epoch: 0) != (try BatchPlan(sampleLengths: lengths, batchSize: 1, seed: 2)).order(epoch: 0))
        // As an independent implementation in Python has it: a resumed run depends on this order.
        let small = try BatchPlan(sampleLengths: [1, 1, 1, 1, 1, 1], batchSize: 1, seed: 42)
        #expect(small.order(epoch: 0) == [5, 3, 0, 1, 4, 2])
        #expect(small.order(epoch: 1) == [1, 4, 0, 3, 2, 5])
    }

    @Test("every place is equally likely")
    func fairness() throws {
        let plan = try BatchPlan(sampleLengths: [1, 1, 1, 1], batchSize: 1, seed: 9)
        var counts = [Int](repeating: 0, count: 4)
        for epoch in 0..<4000 { counts[plan.order(epoch: epoch)[0]] += 1 }
        #expect(counts.allSatisfy { abs($0 - 1000) < 120 }, "\(counts)")
    }

    @Test("impossible sizes are refused by name")
    func refusals() {
        #expect(throws: DatasetError.option("batch_size", problem: "expected 1 to 1000000, got 0")) {
            try BatchPlan(sampleLengths: [1], batchSize: 0, seed: 0)
        }
        #expect(throws: DatasetError.self) { try BatchPlan(sampleLengths: [], batchSize: 1, seed: 0) }
    }

    @Test("samples held back are the last, or the same by chance for the same seed")
    func validation() throws {
        #expect(try ValidationSplit(count: 10, share: 0.2).validation == [8, 9])
        let split = try ValidationSplit(count: 100, share: 0.1, seed: 3)
        #expect(split == (try ValidationSplit(count: 100, share: 0.1, seed: 3)))
        #expect(split != (try ValidationSplit(count: 100, share: 0.1, seed: 4)))
        #expect((split.training + split.validation).sorted() == Array(0..<100))
        #expect(split.validation.count == 10)
        #expect(try ValidationSplit(count: 3, share: 0.01).validation == [2])
        #expect(try ValidationSplit(count: 3, share: 0).validation.isEmpty)
        #expect(throws: DatasetError.self) { try ValidationSplit(count: 1, share: 0.5) }
        #expect(throws: DatasetError.self) { try ValidationSplit(count: 9, share: 1) }
    }
}
