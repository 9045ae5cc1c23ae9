// The files that a run will write, and what is worth saying before it starts.

import Formats
import Foundation
import Runs
import Tokenizers

/// A file or group of files in the run folder.
struct PlannedFile: Encodable {
    /// Within the run folder.
    let path: String
    /// About; what depends on the run's course is estimated.
    let bytes: Int

    /// Everything in the run folder once the run is done.
    static func all(
        _ configuration: Configuration, _ base: PlannedBase, _ adapter: PlannedAdapter, _ work: PlannedWork
    ) throws -> [PlannedFile] {
        let weights = 4 * adapter.parameters + 160 * adapter.layers.count
        let tokenizer = try tokenizerBytes(base)
        let save = configuration.run.saveSteps, steps = work.totalSteps
        let saved = 1 + (save > 0 ? (steps - 1) / save : 0)
        let limit = configuration.run.saveTotalLimit
        let kept = limit > 0 ? min(saved, limit) : saved
        let last = String(steps)
        let name = "step-" + String(repeating: "0", count: max(0, 6 - last.count)) + last
        return [
            PlannedFile(path: "checkpoints/adapter_model.safetensors", bytes: weights),
            PlannedFile(path: "checkpoints/adapter_config.json", bytes: 700),
            PlannedFile(path: "checkpoints/tokenizer.json …", bytes: tokenizer),
            PlannedFile(
                path: "checkpoints/\(name)/" + (kept > 1 ? " and \(kept - 1) before it" : ""),
                bytes: kept * (weights + 12 * adapter.parameters + tokenizer)),
            PlannedFile(path: "README.md, logs/training_curve.svg, .png", bytes: 60_000),
            PlannedFile(path: "config.yaml, facts.json", bytes: configuration.yaml.utf8.count + 2500),
            PlannedFile(path: "events.jsonl", bytes: 220 * steps + 800 * configuration.samples.prompts.count),
            PlannedFile(path: "logs/train.log, logs/events.out.tfevents.*", bytes: 300 * steps + 4000),
        ]
    }

    /// The files are copied from a model's folder, and made from a GGUF file.
    private static func tokenizerBytes(_ base: PlannedBase) throws -> Int {
        let sizes = Tokenizer.fileNames.compactMap { name in
            let path = base.found.url.appendingPathComponent(name).path
            return try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        }
        guard sizes.isEmpty else { return sizes.reduce(0, +) }
        // A token takes about 16 bytes as an entry, and its merge about 20.
        return 37 * base.found.tokenizer.vocabularySize
    }
}

/// What is worth saying before a run starts.
struct PlanAdvice {
    let configuration: Configuration
    let base: PlannedBase
    let data: TextData
    let adapter: PlannedAdapter
    let work: PlannedWork
    let memory: PlannedMemory
    let files: [PlannedFile]

    var warnings: [String] { lengths + data.warnings + sizes + room }

    private var lengths: [String] {
        let longest = data.training.map(\.tokens.count).max() ?? 0
        var found: [String] = []
        if let limit = base.config.contextLength, longest > limit {
            found.append(
                "max_length: a sample has \(longest) tokens, the model was made for \(limit); set max_length: \(limit)")
        }
        let summary = data.summary
        let touched = summary.truncated + summary.dropped
        if touched > 0 {
            found.append(
                "max_length \(configuration.data.maxLengthTokens): \(summary.truncated) samples are cut off and "
                    + "\(summary.dropped) left out; raise it, or use max_length_policy: split")
        }
        return found
    }

    private var sizes: [String] {
        var found: [String] = []
        if work.samples.count < 50 {
            found.append("data: \(work.samples.count) samples teach little; 100 and more are usual")
        }
        if work.totalSteps < 30 {
            found.append("steps: \(work.totalSteps) are few; more epochs or a smaller batch_size give more")
        }
        return found
    }

    private var room: [String] {
        var found: [String] = []
        if !memory.fits {
            found.append(
                "memory: \(PlanText.bytes(memory.total)) are needed, \(PlanText.bytes(memory.room.available)) are free; "
                    + (cheapestChange ?? "a smaller or more quantised base is needed"))
        }
        let needed = files.reduce(0) { $0 + $1.bytes }
        let folder = configuration.run.outputDirectory
        if let free = MachineState.freeDisk(at: folder), free < needed {
            found.append(
                "disk: \(PlanText.bytes(needed)) are to be written to \(folder), \(PlanText.bytes(free)) are free; "
                    + "lower save_total_limit or choose another output_dir")
        }
        return found
    }

    /// The change that costs least and makes the run fit, if there is one.
    var cheapestChange: String? {
        let (batch, steps) = (configuration.schedule.batchSize, configuration.schedule.gradientAccumulationSteps)
        let one = "batch_size: 1 with gradient_accumulation_steps: \(batch * steps) (the same result)"
        let length = max(2, configuration.data.maxLengthTokens / 2)
        let changes: [(words: String, demand: MemoryDemand)] = [
            (one, demand(batchSize: 1)),
            ("gradient_checkpointing: true (up to half more time)", demand(batchSize: batch, checkpoints: true)),
            ("\(one) and gradient_checkpointing: true", demand(batchSize: 1, checkpoints: true)),
            (
                "\(one), gradient_checkpointing: true and max_length: \(length)",
                demand(batchSize: 1, checkpoints: true, maxLength: length)
            ),
        ]
        let fitting = changes.first { PlannedMemory(base, adapter, $0.demand, memory.room).fits }
        return fitting.map { "set \($0.words)" }
    }

    private func demand(batchSize: Int, checkpoints: Bool = false, maxLength: Int = .max) -> MemoryDemand {
        var demand = MemoryDemand(work, configuration)
        demand.batch = work.largest(
            batchSize: batchSize, padded: !configuration.data.packing, maxLength: maxLength)
        demand.checkpointsGradients = checkpoints || configuration.run.gradientCheckpointing
        return demand
    }
}
