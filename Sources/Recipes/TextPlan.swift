// What a text run will take, found out before it starts: from headers, tokenizer and data, without loading weights.

import Datasets
import Foundation
import LoRA
import Runs

/// What a text run will take: steps, parameters, memory, time and files.
public struct TextPlan {
    let configuration: Configuration
    let base: PlannedBase
    let data: TextData
    let adapter: PlannedAdapter
    let work: PlannedWork
    let memory: PlannedMemory
    let time: PlannedTime
    let files: [PlannedFile]
    let warnings: [String]

    /// Looks at everything that `lora train` would look at, and measures this machine for a moment.
    public init(_ configuration: Configuration) throws {
        let placement = try FineTune.placement(configuration)
        self.configuration = configuration
        base = try PlannedBase(ModelCatalogue.locate(configuration.model.baseModel))
        data = try TextData(configuration, tokenizer: base.found.tokenizer)
        adapter = try PlannedAdapter(LoRAConfig(text: configuration.adapter), base)
        work = PlannedWork(data, configuration)
        // Before anything is computed: what the process takes now is what a run's takes at its start.
        let room = MemoryRoom(program: MachineState.residentMemory, placement: placement)
        memory = PlannedMemory(base, adapter, MemoryDemand(work, configuration), room)
        time = try PlannedTime(self.base, adapter, work, configuration, placement)
        files = try PlannedFile.all(configuration, base, adapter, work)
        let advice = PlanAdvice(
            configuration: configuration, base: base, data: data, adapter: adapter, work: work, memory: memory,
            files: files)
        warnings = advice.warnings
    }

    /// The schedule at a few steps, counted from 1.
    var learningRates: [(step: Int, value: Double)] {
        let total = work.totalSteps
        let schedule = LearningRateSchedule(configuration.schedule, totalSteps: total)
        let wanted = [1, schedule.warmupSteps + 1, (total + schedule.warmupSteps) / 2, total * 3 / 4, total]
        let steps = Set(wanted.map { max(1, min($0, total)) }).sorted()
        return steps.map { ($0, configuration.optimizer.learningRate * schedule.factor(at: $0 - 1)) }
    }
}
