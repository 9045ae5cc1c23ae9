// A plan for programs: the keys are kept as they are from version to version.

import Foundation
import Runs

extension TextPlan {
    /// The plan as JSON with keys in snake_case; sizes in bytes, times in seconds.
    public var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.keyEncodingStrategy = .convertToSnakeCase
            return String(decoding: try encoder.encode(PlanDocument(self)), as: UTF8.self)
        }
    }
}

private struct PlanDocument: Encodable {
    struct Adapter: Encodable {
        let modules: [PlannedAdapter.Match]
        let parameters, rank: Int
        let scale, shareOfBase: Double
    }
    struct Base: Encodable {
        let name, architecture, storage: String
        let parameters, bytes: Int
    }
    struct Samples: Encodable {
        let format: String
        let samples, validationSamples, tokens, supervisedTokens, longestSample, largestMicroBatch: Int
    }
    struct Memory: Encodable {
        let program, base, adapter, activations, activationsWithCheckpointing, activationsWithoutCheckpointing: Int
        let scratch, total, available: Int
        /// Absent for a device whose memory is not looked at.
        let fits: Bool?
        let change: String?
    }
    struct Steps: Encodable {
        let total, perEpoch, microBatches, warmup: Int
    }
    struct Time: Encodable {
        let total, step, answers, validation, start, tokensPerSecond, gigaflops: Double
        let measured: Bool
    }
    struct Rate: Encodable {
        let step: Int
        let value: Double
    }

    let adapter: Adapter
    let base: Base
    let data: Samples
    let files: [PlannedFile]
    let learningRate: [Rate]
    let memory: Memory
    let outputDir: String
    let steps: Steps
    let time: Time
    let warnings: [String]

    init(_ plan: TextPlan) {
        let share = Double(plan.adapter.parameters) / Double(max(1, plan.base.parameters))
        adapter = Adapter(
            modules: plan.adapter.matches, parameters: plan.adapter.parameters, rank: plan.adapter.config.rank,
            scale: plan.adapter.config.scale, shareOfBase: share)
        base = Base(
            name: plan.base.name, architecture: plan.base.config.architecture, storage: plan.base.storage,
            parameters: plan.base.parameters, bytes: plan.base.bytes)
        let (work, time) = (plan.work, plan.time)
        data = Samples(
            format: plan.data.summary.format.rawValue, samples: work.samples.count,
            validationSamples: plan.data.validation.count, tokens: work.tokens, supervisedTokens: work.supervised,
            longestSample: work.largest.longest, largestMicroBatch: work.largest.tokens)
        files = plan.files
        learningRate = plan.learningRates.map { Rate(step: $0.step, value: $0.value) }
        memory = Self.memory(plan)
        outputDir = plan.configuration.run.outputDirectory
        let schedule = LearningRateSchedule(plan.configuration.schedule, totalSteps: work.totalSteps)
        steps = Steps(
            total: work.totalSteps, perEpoch: work.stepsPerEpoch, microBatches: work.microBatches,
            warmup: schedule.warmupSteps)
        self.time = Time(
            total: time.totalSeconds, step: time.stepSeconds, answers: time.answerSeconds,
            validation: time.validationSeconds, start: time.startSeconds, tokensPerSecond: time.tokensPerSecond,
            gigaflops: time.rate / 1e9, measured: time.isMeasured)
        warnings = plan.warnings
    }

    private static func memory(_ plan: TextPlan) -> Memory {
        let memory = plan.memory
        func activations(_ checkpoints: Bool) -> Int {
            var demand = MemoryDemand(plan.work, plan.configuration)
            demand.checkpointsGradients = checkpoints
            return PlannedMemory(plan.base, plan.adapter, demand, memory.room).activations
        }
        let advice = PlanAdvice(
            configuration: plan.configuration, base: plan.base, data: plan.data, adapter: plan.adapter,
            work: plan.work, memory: memory, files: plan.files)
        return Memory(
            program: memory.program, base: memory.base, adapter: memory.adapter, activations: memory.activations,
            activationsWithCheckpointing: activations(true), activationsWithoutCheckpointing: activations(false),
            scratch: memory.scratch, total: memory.total, available: memory.room.available,
            fits: memory.room.placement.device == .cpu ? memory.fits : nil,
            change: memory.fits ? nil : advice.cheapestChange)
    }
}
