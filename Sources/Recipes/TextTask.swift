// Training a language model on text: gradients of a step, validation, answers to look at.

import Datasets
import Foundation
import LoRA
import Models
import NN
import Runs
import Tokenizers
import Torch
import Training

/// Text training as the trainer sees it.
final class TextTask: TrainingTask {
    private let model: Llama
    private let adapters: LoRASet
    private let base: TextBase
    private let data: TextData
    private let configuration: Configuration
    private let prompts: PromptEncoder
    private var order: EpochOrder<Int>

    init(
        _ model: Llama, _ adapters: LoRASet, base: TextBase, data: TextData, configuration: Configuration
    ) throws {
        (self.model, self.adapters, self.base, self.data) = (model, adapters, base, data)
        self.configuration = configuration
        order = EpochOrder(stepsPerEpoch: data.plan.stepsPerEpoch, plan: data.plan.steps(epoch:))
        prompts = try PromptEncoder(
            base.tokenizer, systemPrompt: configuration.data.systemPrompt, isRaw: data.summary.isRaw)
    }

    // MARK: - Gradients

    func computeGradients(step: Int, scale: Double) throws -> StepMeasure {
        let microBatches = order.microBatches(ofStep: step)
        let all = microBatches.flatMap { $0 }.map { data.training[$0] }
        // Weighted by tokens, so that N micro-batches of one sample equal one of N samples.
        let supervised = max(1, all.reduce(0) { $0 + $1.trainedCount })
        var loss = 0.0
        for (index, microBatch) in microBatches.enumerated() {
            adapters.drawDropout(seed: configuration.run.seed, step: step, microBatch: index)
            loss += try addGradients(
                of: microBatch.map { data.training[$0] }, dividedBy: supervised, scale: scale)
        }
        return StepMeasure(loss: loss, tokens: all.reduce(0) { $0 + $1.tokens.count })
    }

    /// A function of its own, so that the graph is gone when it returns.
    private func addGradients(of samples: [Sample], dividedBy count: Int, scale: Double) throws -> Double {
        let loss = try loss(samples) * (1 / Double(count))
        let value = try loss.item()
        if value.isFinite { try (scale == 1 ? loss : loss * scale).backward() }
        return value
    }

    private func loss(_ samples: [Sample]) throws -> Tensor {
        let batch = TokenBatch(samples, padding: configuration.data.packing ? nil : base.tokenizer.padID ?? 0)
        return try model.loss(batch.tokens, labels: batch.labels, lengths: batch.lengths)
    }

    func samples(ofStep step: Int) -> [String] {
        order.microBatches(ofStep: step).flatMap { $0 }.map { data.training[$0].source }.map { "\($0.file):\($0.line)" }
    }

    // MARK: - Looking at it

    func validationLoss() throws -> Double? {
        guard !data.validation.isEmpty else { return nil }
        return try adapters.withoutDropout {
            let size = configuration.schedule.batchSize
            var sum = 0.0
            for start in stride(from: 0, to: data.validation.count, by: size) {
                sum += try loss(Array(data.validation[start..<min(start + size, data.validation.count)])).item()
            }
            return sum / Double(data.validation.reduce(0) { $0 + $1.trainedCount })
        }
    }

    func makeSamples(step: Int) throws -> [SampleResult]? {
        let questions = configuration.samples.prompts
        guard !questions.isEmpty else { return [] }
        return try adapters.withoutDropout {
            let answers = step > 0 ? try answer(questions) : try adapters.withoutAdapters { try answer(questions) }
            return answers.map { zip(questions, $0).map { SampleResult(prompt: $0, text: $1) } }
        }
    }

    /// Nil, as soon as someone asks to stop: a run must not be kept waiting by its samples.
    private func answer(_ questions: [String]) throws -> [String]? {
        let options = SamplingOptions(maxTokens: configuration.samples.maxTokens)
        do {
            return try model.generate(questions.map(prompts.encode), options, stops: base.tokenizer.endOfTurnIDs) {
                _, _ in
                try Interrupted.check()
            }
            .map { tokens in
                let text = base.tokenizer.decode(tokens, skippingSpecialTokens: true)
                return text.trimmingCharacters(in: .whitespacesAndNewlines)
            }
        } catch is Interrupted {
            return nil
        }
    }

    func writeAdapter(to folder: String) throws {
        let url = URL(fileURLWithPath: folder, isDirectory: true)
        let layers = model.modules(of: Linear.self).map(\.path)
        try PEFT.write(adapters, base: configuration.model.baseModel, layers: layers, to: url)
        try base.tokenizer.writeFiles(to: url)
    }
}

/// Samples laid end to end, each token with the one that should follow it.
struct TokenBatch {
    private(set) var tokens: [Int] = []
    private(set) var labels: [Int] = []
    private(set) var lengths: [Int] = []

    /// - Parameter padding: fills every sample up to the longest; nil: no padding.
    init(_ samples: [Sample], padding: Int?) {
        let longest = samples.map(\.tokens.count).max() ?? 0
        for sample in samples {
            let fill = padding == nil ? 0 : longest - sample.tokens.count
            tokens += sample.tokens.lazy.map(Int.init)
            tokens += repeatElement(padding ?? 0, count: fill)
            labels += zip(sample.tokens, sample.isTrained).dropFirst().map { $1 ? Int($0) : -100 }
            labels += repeatElement(-100, count: fill + (sample.tokens.isEmpty ? 0 : 1))
            lengths.append(sample.tokens.count + fill)
        }
    }
}
