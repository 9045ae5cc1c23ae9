// Fine-tunes a LLaMA-family language model with LoRA on one device.
//
// Supports: fp32 and bf16, quantised bases, gradient accumulation (weighted by tokens, so N × 1 equals 1 × N), samples
// laid end to end without padding, gradient checkpointing, exact resume. Not here: several devices, full fine-tuning.

import Commands
import Datasets
import Formats
import Foundation
import LoRA
import Models
import NN
import Reports
import Runs
import Torch
import Training

/// One text run, from its configuration to its report.
public struct FineTuneText {
    /// What is asked for.
    public let configuration: Configuration
    /// The command that repeats the run, for the report.
    public let command: String
    /// The program's name and version, for the report.
    public let program: String
    /// Shows lines to the user.
    public let say: (String) -> Void

    /// Makes a run of `configuration`; nothing is read before `run`.
    public init(_ configuration: Configuration, command: String, program: String, say: @escaping (String) -> Void) {
        (self.configuration, self.command, self.program, self.say) = (configuration, command, program, say)
    }

    /// Trains, or goes on where an earlier process stopped. However it ends once the run folder is open, a report is
    /// written.
    public func run() throws -> TrainingEnd {
        // What it computes in is part of what a run is, so it is settled before the run's identity.
        let placement = try Self.placement(configuration)
        var configuration = configuration
        let asked = configuration.run.mixedPrecision
        configuration.run.mixedPrecision = MixedPrecision(placement.dtype)
        if let asked, asked != configuration.run.mixedPrecision {
            let dtype = placement.dtype
            say("warning   mixed_precision \(asked.rawValue): computing in \(dtype), which is faster on a CPU")
        }
        return try FineTuneText(configuration, command: command, program: program, say: say).run(on: placement)
    }

    private func run(on placement: Placement) throws -> TrainingEnd {
        let base = try TextBase(ModelCatalogue.locate(configuration.model.baseModel))
        let data = try TextData(configuration, tokenizer: base.tokenizer)
        let files = try base.files()
        let identity = RunIdentity(configuration: configuration, base: files, data: data.files)
        let directory = try RunDirectory(identity, command: command)
        if directory.opening == .finished {
            say("\(directory.layout.folder.relativePath): this run is done; its report is README.md there")
            return .done
        }
        let session = RunSession(directory, configuration: configuration, device: placement.device)
        return try session.record { try train(base, files, data, on: placement, in: session) }
    }

    private func train(
        _ base: TextBase, _ files: [FileFact], _ data: TextData, on placement: Placement, in session: RunSession
    ) throws -> TrainingEnd {
        Accelerator.keepMemory()
        let model = try Llama.load(base.url, on: placement)
        model.checkpointsGradients = configuration.run.gradientCheckpointing
        try check(data, against: model.config)
        let adapters = try LoRASet.inject(
            LoRAConfig(configuration.adapter), into: model, seed: configuration.run.seed, on: placement.device
        )
        let plan = plan(data)
        try session.directory.updateFacts { facts in
            facts.base = base.facts(model, files: files)
            facts.data = data.facts
            facts.adapter = AdapterFacts(
                modules: adapters.matches, parameters: adapters.parameterCount, scale: adapters.config.scale
            )
            facts.machine = MachineFacts.current(placement, program: program)
            (facts.totalSteps, facts.stepsPerEpoch) = (plan.totalSteps, plan.stepsPerEpoch)
        }
        introduce(base, data, adapters, plan, session)

        let optimizer = try AdamW(adapters.parameters, configuration.optimizer)
        let trainer = Trainer(
            plan, parameters: adapters.parameters, optimizer: optimizer,
            checkpoints: session.directory.checkpoints, listeners: try session.listeners(plan)
        )
        let task = try TextTask(model, adapters, base: base, data: data, configuration: configuration)
        let first = try trainer.restore()
        // From the start, nothing of an earlier process counts, its first answers included.
        try session.directory.rewind(toStep: first > 0 ? first : -1)
        if first > 0 { say("going on after step \(first)") }
        let end = try trainer.train(task, from: first)
        if session.directory.checkpoints.newest != nil { try session.publish(adapterOf: task) }
        return end
    }

    /// CPU: fp32 always, since matrix products in 16 bits are slower there; elsewhere bf16 unless told otherwise.
    static func placement(_ configuration: Configuration) throws -> Placement {
        let device = try Accelerator.load(configuration.run.device.name)
        guard device != .cpu else { return Placement(.cpu, .float32) }
        switch configuration.run.mixedPrecision {
        case .none?: return Placement(device, .float32)
        case .float16?:
            throw UsageError(problem: "mixed_precision: fp16 needs scaled losses, which are not here yet; use bf16")
        case .bfloat16?, nil: return Placement(device, .bfloat16)
        }
    }

    private func plan(_ data: TextData) -> TrainerPlan {
        let total = data.totalSteps(configuration.schedule)
        return TrainerPlan(
            totalSteps: total, stepsPerEpoch: data.plan.stepsPerEpoch,
            learningRate: configuration.optimizer.learningRate,
            schedule: LearningRateSchedule(configuration.schedule, totalSteps: total),
            maxGradientNorm: configuration.optimizer.maxGradientNorm, saveSteps: configuration.run.saveSteps,
            saveTotalLimit: configuration.run.saveTotalLimit,
            validationSteps: configuration.run.evalSteps ?? data.plan.stepsPerEpoch,
            sampleSteps: configuration.samples.steps
        )
    }

    private func check(_ data: TextData, against config: LlamaConfig) throws {
        let samples = data.training + data.validation
        let largest = samples.lazy.flatMap(\.tokens).max().map(Int.init) ?? 0
        guard largest < config.vocabularySize else {
            throw ModelError.config(
                file: configuration.model.baseModel,
                problem: "its tokenizer gives token \(largest), but the model knows only \(config.vocabularySize)"
            )
        }
        let longest = samples.map(\.tokens.count).max() ?? 0
        if let limit = config.contextLength, longest > limit {
            throw ModelError.config(
                file: configuration.model.baseModel,
                problem: "a sample has \(longest) tokens, the model was made for \(limit); set max_length: \(limit)"
            )
        }
    }

    private func introduce(
        _ base: TextBase, _ data: TextData, _ adapters: LoRASet, _ plan: TrainerPlan, _ session: RunSession
    ) {
        let facts = session.directory.facts
        let modules = adapters.matches.sorted { $0.key < $1.key }.map { "\($0.key) ×\($0.value)" }
        say("base      \(facts.base?.name ?? base.url.lastPathComponent), \(facts.base?.storage ?? "")")
        say("data      \(data.summary.line)")
        for warning in data.warnings { say("warning   \(warning)") }
        say("adapter   \(modules.joined(separator: ", ")); \(adapters.parameterCount.formatted()) parameters")
        say("plan      \(plan.totalSteps) steps, \(plan.stepsPerEpoch) an epoch, on \(facts.machine?.device ?? "")")
        say("run       \(session.directory.layout.folder.relativePath)")
        say(data.table)
    }
}

extension LoRAConfig {
    /// A configuration's adapter; `q_proj` and `v_proj` unless it names others.
    init(_ options: AdapterOptions) {
        self.init(
            rank: options.rank, alpha: options.alpha, dropout: options.dropout,
            isRankStabilised: options.useRankStabilization,
            targets: options.targetModules.isEmpty ? ["q_proj", "v_proj"] : options.targetModules
        )
    }
}

extension AdamW {
    convenience init(_ parameters: [(key: String, value: Tensor)], _ options: OptimizerOptions) throws {
        try self.init(
            parameters, betas: (options.beta1, options.beta2), epsilon: options.epsilon,
            weightDecay: options.weightDecay
        )
    }
}

extension MixedPrecision {
    init(_ dtype: DType) {
        switch dtype {
        case .float16: self = .float16
        case .bfloat16: self = .bfloat16
        default: self = .none
        }
    }
}

extension DeviceChoice {
    /// As `Accelerator.load` takes it.
    var name: String {
        switch self {
        case .auto: "auto"
        case .cpu: "cpu"
        case .cuda(let index): index.map { "cuda:\($0)" } ?? "cuda"
        case .mps: "mps"
        }
    }
}
