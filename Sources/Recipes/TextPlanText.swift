// A plan as people read it in a terminal.

import Foundation
import Runs

extension TextPlan {
    /// The plan in aligned columns, without the line break at its end.
    public var text: String {
        let all = baseLines + stepLines + adapterLines + memoryLines + timeLines + rateLines + fileLines
        return (all + warnings.map { PlanText.row("warning", $0) }).joined(separator: "\n")
    }

    private var baseLines: [String] {
        let count = PlanText.count(base.parameters)
        return [
            PlanText.row("base", "\(base.name) (\(base.config.architecture)), \(count) parameters as \(base.storage)"),
            PlanText.row("data", data.summary.line),
        ]
    }

    private var stepLines: [String] {
        let schedule = configuration.schedule
        let epochs = schedule.maxSteps == nil ? "\(schedule.epochs) × \(work.stepsPerEpoch) an epoch" : "max_steps"
        let batch = "batch_size \(schedule.batchSize)"
        let accumulated = schedule.gradientAccumulationSteps > 1 ? " × \(schedule.gradientAccumulationSteps)" : ""
        let largest = "largest micro-batch \(PlanText.count(work.largest.tokens)) tokens"
        let held = data.validation.isEmpty ? "" : "; \(data.validation.count) samples held back for validation"
        return [
            PlanText.row("steps", "\(PlanText.count(work.totalSteps)) = \(epochs), \(batch)\(accumulated)\(held)"),
            PlanText.row(
                "tokens",
                "\(PlanText.count(work.tokens)), of them \(PlanText.count(work.supervised)) supervised; \(largest)"),
        ]
    }

    private var adapterLines: [String] {
        let share = 100 * Double(adapter.parameters) / Double(max(1, base.parameters))
        let all = "\(PlanText.count(adapter.parameters)) parameters, \(String(format: "%.2g", share)) % of the base"
        let scale = String(format: "%g", adapter.config.scale)
        let head = PlanText.row("adapter", "rank \(adapter.config.rank), scale \(scale): \(all)")
        let matches = adapter.matches
        let shown = matches.prefix(9).map { match in
            PlanText.column(match.module, "×\(match.layers)", PlanText.count(match.parameters))
        }
        let rest = matches.count - shown.count
        return [head] + shown + (rest > 0 ? [PlanText.row("", "  and \(rest) more")] : [])
    }

    private var memoryLines: [String] {
        let checkpoints = configuration.run.gradientCheckpointing
        var other = MemoryDemand(work, configuration)
        other.checkpointsGradients = !checkpoints
        let otherwise = PlannedMemory(base, adapter, other, memory.room).activations
        let note = "\(PlanText.bytes(otherwise)) \(checkpoints ? "without" : "with") gradient_checkpointing"
        let place = memory.room.placement.device == .cpu ? "mapped as stored" : "on \(memory.room.placement.device)"
        let free = PlanText.bytes(memory.room.available)
        let verdict =
            memory.room.placement.device != .cpu
            ? "on the device; not compared with what it has"
            : memory.fits ? "of \(free) free: fits" : "of \(free) free: does not fit"
        return [
            PlanText.row("memory", PlanText.part("program, libtorch, data", memory.program, "")),
            PlanText.row("", PlanText.part("base", memory.base, place)),
            PlanText.row("", PlanText.part("adapter, gradients, AdamW", memory.adapter, "")),
            PlanText.row("", PlanText.part("activations", memory.activations, note)),
            PlanText.row("", PlanText.part("logits, scratch", memory.scratch, "")),
            PlanText.row("", PlanText.part("together, at the peak", memory.total, verdict)),
        ]
    }

    private var timeLines: [String] {
        let step = PlanText.seconds(time.stepSeconds)
        var parts = ["\(PlanText.count(work.totalSteps)) steps of \(step)"]
        if time.answerSeconds > 0 { parts.append("answers \(PlanText.seconds(time.answerSeconds))") }
        if time.validationSeconds > 0 { parts.append("validation \(PlanText.seconds(time.validationSeconds))") }
        let speed = "\(PlanText.count(Int(time.tokensPerSecond))) tokens/s"
        let basis =
            time.isMeasured
            ? String(format: "±25 %% on an idle machine, at the %.0f GFLOP/s measured now", time.rate / 1e9)
            : "a rough guess: the device is not measured"
        return [
            PlanText.row(
                "time", "about \(PlanText.seconds(time.totalSeconds)): \(parts.joined(separator: ", ")); \(speed)"),
            PlanText.row("", basis),
        ]
    }

    private var rateLines: [String] {
        let isSteady = Set(learningRates.map(\.value)).count == 1
        let shown = learningRates.prefix(isSteady ? 1 : .max)
            .map { PlanText.scientific($0.value) + (isSteady ? "" : " at step \($0.step)") }
        return [PlanText.row("learning", "\(configuration.schedule.kind.rawValue): \(shown.joined(separator: ", "))")]
    }

    private var fileLines: [String] {
        let total = PlanText.bytes(files.reduce(0) { $0 + $1.bytes })
        let folder = configuration.run.outputDirectory
        return [PlanText.row("files", "\(folder)/ about \(total)")]
            + files.map { PlanText.row("", PlanText.pad(PlanText.bytes($0.bytes), 9, right: true) + "  \($0.path)") }
    }
}

/// Numbers and columns of a plan.
enum PlanText {
    /// A word at the left, and what there is to say.
    static func row(_ title: String, _ text: String) -> String { "  " + pad(title, 10) + text }

    static func column(_ name: String, _ count: String, _ parameters: String) -> String {
        row("", "  " + pad(name, 12) + pad(count, 5, right: true) + "  " + pad(parameters, 12, right: true))
    }

    static func part(_ name: String, _ size: Int, _ note: String) -> String {
        let line = pad(name, 26) + pad(bytes(size), 9, right: true)
        return note.isEmpty ? line : line + "   " + note
    }

    static func pad(_ text: String, _ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
        return right ? space + text : text + space
    }

    /// `1,234,567`
    static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        let groups = stride(from: digits.count, to: 0, by: -3).map { String(digits.prefix($0).suffix(3)) }
        return (value < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
    }

    /// `812 B`, `18.7 MiB`
    static func bytes(_ value: Int) -> String {
        var (rest, unit) = (Double(value), 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while rest >= 1023.5, unit < units.count - 1 { (rest, unit) = (rest / 1024, unit + 1) }
        return String(format: unit == 0 || rest >= 99.95 ? "%.0f" : "%.1f", rest) + " " + units[unit]
    }

    /// `0.8 s`, `45 s`, `4 min 10 s`, `2 h 5 min`
    static func seconds(_ value: Double) -> String {
        guard value.isFinite, value < 1e9 else { return "too long" }
        if value < 9.95 { return String(format: "%.1f s", max(0, value)) }
        let total = Int(value.rounded())
        if total < 60 { return "\(total) s" }
        if total < 3600 { return "\(total / 60) min \(total % 60) s" }
        return "\(count(total / 3600)) h \(total / 60 % 60) min"
    }

    /// `2e-4`
    static func scientific(_ value: Double) -> String {
        guard value != 0 else { return "0" }
        let parts = String(format: "%.1e", value).split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else { return String(value) }
        let digits = parts[0].hasSuffix(".0") ? parts[0].dropLast(2) : parts[0]
        return "\(digits)e\(exponent)"
    }
}
