// One run of `lora train`, from its configuration to its report: what text and pictures share.
//
// Supports: fp32 and bf16 on one device, exact resume. Not here: several devices, full fine-tuning.

import Formats
import Foundation
import NN
import Reports
import Runs
import Torch
import Training

/// What text and pictures each do their own way.
protocol Recipe {
    /// Reads the headers of the base and all of the data that a configuration names; no weights.
    init(_ configuration: Configuration, say: @escaping (String) -> Void) throws
    /// The files that decide what the base computes.
    var baseFiles: [FileFact] { get }
    /// The files that decide what is learnt.
    var dataFiles: [FileFact] { get }
    /// What the data says by names and folders alone.
    var dataArrangement: [String] { get }
    /// Loads the base and puts fresh adapters on it.
    func prepare(on placement: Placement, folder: RunLayout) throws -> PreparedRun
}

/// A run that is ready for its first step.
struct PreparedRun {
    let task: any TrainingTask
    let groups: [ParameterGroup]
    let base: BaseFacts
    let data: DataFacts
    let adapter: AdapterFacts
    /// Optimizer steps of one pass over the data.
    let stepsPerEpoch: Int
    /// The data in a line; one sample in full.
    let summary, example: String
}

/// One run, from its configuration to its report.
public struct FineTune {
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
        let settled = FineTune(configuration, command: command, program: program, say: say)
        return switch configuration.model.taskType {
        case .textGeneration: try settled.run(FineTuneText(configuration, say: say), on: placement)
        case .textToImage: try settled.run(FineTuneImages(configuration, say: say), on: placement)
        }
    }

    private func run(_ recipe: some Recipe, on placement: Placement) throws -> TrainingEnd {
        let identity = RunIdentity(
            configuration: configuration, base: recipe.baseFiles, data: recipe.dataFiles,
            arrangement: recipe.dataArrangement)
        let directory = try RunDirectory(identity, command: command)
        if directory.opening == .finished {
            say("\(directory.layout.folder.relativePath): this run is done; its report is README.md there")
            return .done
        }
        let session = RunSession(directory, configuration: configuration, device: placement.device)
        return try session.record {
            Accelerator.keepMemory()
            do {
                return try train(recipe.prepare(on: placement, folder: directory.layout), on: placement, in: session)
            } catch is Interrupted {
                return .interrupted
            }
        }
    }

    private func train(_ run: PreparedRun, on placement: Placement, in session: RunSession) throws -> TrainingEnd {
        var plan = TrainerPlan(configuration, stepsPerEpoch: run.stepsPerEpoch)
        plan.scalesLoss = placement.dtype == .float16
        try session.directory.updateFacts { facts in
            (facts.base, facts.data, facts.adapter) = (run.base, run.data, run.adapter)
            facts.machine = MachineFacts.current(placement, program: program)
            (facts.totalSteps, facts.stepsPerEpoch) = (plan.totalSteps, plan.stepsPerEpoch)
        }
        introduce(run, plan, session)
        let optimizer = try AdamW(run.groups, configuration.optimizer)
        let trainer = Trainer(
            plan, optimizer: optimizer, checkpoints: session.directory.checkpoints,
            listeners: try session.listeners(plan))
        let first = try trainer.restore()
        // From the start, nothing of an earlier process counts, its first answers included.
        try session.directory.rewind(toStep: first > 0 ? first : -1)
        if first > 0 { say("going on after step \(first)") }
        let end = try trainer.train(run.task, from: first)
        if session.directory.checkpoints.newest != nil { try session.publish(adapterOf: run.task) }
        return end
    }

    private func introduce(_ run: PreparedRun, _ plan: TrainerPlan, _ session: RunSession) {
        let modules = run.adapter.modules.sorted { $0.key < $1.key }.map { "\($0.key) ×\($0.value)" }
        say("base      \(run.base.name), \(run.base.storage)")
        say("data      \(run.summary)")
        for warning in run.data.warnings { say("warning   \(warning)") }
        say("adapter   \(modules.joined(separator: ", ")); \(run.adapter.parameters.formatted()) parameters")
        let device = session.directory.facts.machine?.device ?? ""
        say("plan      \(plan.totalSteps) steps, \(plan.stepsPerEpoch) an epoch, on \(device)")
        say("run       \(session.directory.layout.folder.relativePath)")
        say(run.example)
    }

    /// CPU: fp32 always, since matrix products in 16 bits are slower there; elsewhere bf16 unless told otherwise.
    static func placement(_ configuration: Configuration) throws -> Placement {
        let device = try Accelerator.load(configuration.run.device.name)
        guard device != .cpu else { return Placement(.cpu, .float32) }
        switch configuration.run.mixedPrecision {
        case .none?: return Placement(device, .float32)
        case .float16?: return Placement(device, .float16)
        case .bfloat16?, nil: return Placement(device, .bfloat16)
        }
    }
}

extension TrainerPlan {
    /// What a configuration asks for.
    init(_ configuration: Configuration, stepsPerEpoch: Int) {
        let total = configuration.schedule.totalSteps(stepsPerEpoch: stepsPerEpoch)
        self.init(
            totalSteps: total, stepsPerEpoch: stepsPerEpoch,
            schedule: LearningRateSchedule(configuration.schedule, totalSteps: total),
            maxGradientNorm: configuration.optimizer.maxGradientNorm, saveSteps: configuration.run.saveSteps,
            saveTotalLimit: configuration.run.saveTotalLimit,
            validationSteps: configuration.run.evalSteps ?? stepsPerEpoch, sampleSteps: configuration.samples.steps)
    }
}

extension AdamW {
    convenience init(_ groups: [ParameterGroup], _ options: OptimizerOptions) throws {
        try self.init(
            groups, betas: (options.beta1, options.beta2), epsilon: options.epsilon, weightDecay: options.weightDecay)
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
