// The samples of a text run: what is trained on, what is held back, and in which order.

import Datasets
import Foundation
import Runs
import Tokenizers

/// The samples of a text run.
public struct TextData {
    /// What is trained on, in the data's order.
    public let training: [Sample]
    /// What is held back, followed by the samples of `validation_data`.
    public let validation: [Sample]
    /// Which of `training` go into which step.
    public let plan: BatchPlan
    /// `train_data` in numbers, before samples are held back.
    public let summary: DataSummary
    /// What is worth knowing of the data, the validation data's included.
    public let warnings: [String]
    /// One sample with its trained tokens marked.
    public let table: String
    /// The files of the data, those of `validation_data` included.
    public let files: [FileFact]

    /// Reads, encodes and divides the data that a configuration names.
    public init(_ configuration: Configuration, tokenizer: Tokenizer) throws {
        var options = TextDataOptions(maxLength: configuration.data.maxLengthTokens)
        options.lengthPolicy = LengthPolicy(rawValue: configuration.data.maxLengthPolicy.rawValue) ?? .truncate
        options.trainsOnPrompt = configuration.data.trainOnPrompt
        options.systemPrompt = configuration.data.systemPrompt
        let all = try TextDataset(
            path: URL(fileURLWithPath: configuration.data.textPath), tokenizer: tokenizer, options: options
        )
        let seed = UInt64(bitPattern: Int64(configuration.run.seed))
        let split = try ValidationSplit(count: all.samples.count, share: configuration.data.validationSplit, seed: seed)
        var held = split.validation.map { all.samples[$0] }
        var (files, warnings) = (all.summary.files, all.summary.warnings)
        if let path = configuration.data.validationData {
            let other = try TextDataset(path: URL(fileURLWithPath: path), tokenizer: tokenizer, options: options)
            held += other.samples
            files += other.summary.files
            warnings += other.summary.warnings.map { "validation_data: \($0)" }
            let known = Set(all.samples.map(\.tokens))
            let seen = other.samples.count { known.contains($0.tokens) }
            if seen > 0 {
                warnings.append("validation_data: \(seen) of \(other.samples.count) samples are trained on, too")
            }
        }
        self.warnings = warnings
        training = split.training.map { all.samples[$0] }
        validation = held
        plan = try BatchPlan(
            sampleLengths: training.map(\.tokens.count), batchSize: configuration.schedule.batchSize,
            accumulation: configuration.schedule.gradientAccumulationSteps, seed: seed
        )
        (summary, table) = (all.summary, all.sampleTable(limit: 24))
        self.files = try files.map { try FileFact($0.url) }
    }

    /// What the report says of the data.
    var facts: DataFacts {
        let lengths = training.map(\.tokens.count).sorted()
        var facts = DataFacts(
            format: "\(summary.format)", files: files, samples: training.count,
            tokens: training.reduce(0) { $0 + $1.tokens.count },
            supervisedTokens: training.reduce(0) { $0 + $1.trainedCount },
            shortest: lengths.first ?? 0, median: lengths.isEmpty ? 0 : lengths[lengths.count / 2],
            longest: lengths.last ?? 0,
            truncated: summary.truncated, split: summary.split, dropped: summary.dropped, warnings: warnings
        )
        facts.isRaw = summary.isRaw ? true : nil
        return facts
    }
}
