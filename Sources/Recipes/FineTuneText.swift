// Fine-tunes a LLaMA-family language model with LoRA.
//
// Supports: quantised bases, gradient accumulation (weighted by tokens, so N × 1 equals 1 × N), samples laid end to end
// without padding, gradient checkpointing.

import Foundation
import LoRA
import Models
import NN
import Runs
import Training

/// Text: what `lora train` does with a language model.
struct FineTuneText: Recipe {
    private let configuration: Configuration
    private let base: TextBase
    private let data: TextData
    let baseFiles: [FileFact]
    var dataFiles: [FileFact] { data.files }
    let dataArrangement: [String] = []

    init(_ configuration: Configuration, say: @escaping (String) -> Void) throws {
        self.configuration = configuration
        base = try TextBase(ModelCatalogue.locate(configuration.model.baseModel))
        data = try TextData(configuration, tokenizer: base.tokenizer)
        baseFiles = try base.files()
    }

    func prepare(on placement: Placement, folder: RunLayout) throws -> PreparedRun {
        let model = try Llama.load(base.url, on: placement)
        model.checkpointsGradients = configuration.run.gradientCheckpointing
        try check(data, against: model.config)
        let adapters = try LoRASet.inject(
            LoRAConfig(text: configuration.adapter), into: model, seed: configuration.run.seed, on: placement.device
        )
        return PreparedRun(
            task: try TextTask(model, adapters, base: base, data: data, configuration: configuration),
            groups: [ParameterGroup(adapters.parameters, learningRate: configuration.optimizer.learningRate)],
            base: base.facts(model, files: baseFiles), data: data.facts,
            adapter: AdapterFacts(
                modules: adapters.matches, parameters: adapters.parameterCount, scale: adapters.config.scale),
            stepsPerEpoch: data.plan.stepsPerEpoch, summary: data.summary.line, example: data.table)
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
}

extension LoRAConfig {
    /// A configuration's adapter for `targets`; the usual ones where it names none.
    init(_ options: AdapterOptions, targets: [String], usual: [String], key: String = "target_modules") {
        self.init(
            rank: options.rank, alpha: options.alpha, dropout: options.dropout,
            isRankStabilised: options.useRankStabilization, targets: targets.isEmpty ? usual : targets)
        self.key = key
    }

    /// A configuration's adapter of a language model.
    init(text options: AdapterOptions) {
        self.init(options, targets: options.targetModules, usual: ["q_proj", "v_proj"])
    }
}
