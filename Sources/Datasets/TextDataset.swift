// Text data as samples for training: read, recognised, encoded and limited in length.

import Foundation
import Tokenizers

/// Text data as samples for training.
public struct TextDataset: Sendable {
    /// All samples, in the order of the files; at least one.
    public let samples: [Sample]
    /// The same in numbers, with warnings.
    public let summary: DataSummary
    private let tokenizer: any TextTokenizer

    /// Reads a file or a folder.
    public init(path: URL, tokenizer: any TextTokenizer, options: TextDataOptions = TextDataOptions()) throws {
        self.tokenizer = tokenizer
        let reader = try RecordReader(path, textUnit: options.textUnit)
        var formats = ExampleReader(format: options.format)
        var examples: [Example] = []
        examples.reserveCapacity(reader.records.count)
        for record in reader.records {
            if let example = try formats.example(record) { examples.append(example) }
        }
        let format = formats.format ?? .text
        let encoder = try SampleEncoder(tokenizer, options)
        let encoded = try examples.parallelMap { try encoder.encode($0) }
        var collector = try SampleCollector(options)
        for (example, result) in zip(examples, encoded) { collector.add(result, example.source) }
        samples = try collector.finish(path.path)
        summary = Self.summary(
            format, reader, samples, collector, isRaw: encoder.isRaw(format),
            warnings: reader.warnings + encoder.warnings(format) + collector.warnings)
    }

    private static func summary(
        _ format: DataFormat, _ reader: RecordReader, _ samples: [Sample], _ collector: SampleCollector,
        isRaw: Bool, warnings: [String]
    ) -> DataSummary {
        let lengths = samples.map(\.tokens.count).sorted()
        return DataSummary(
            format: format, files: reader.files, records: reader.records.count, samples: samples.count,
            tokens: lengths.reduce(0, +), supervisedTokens: samples.reduce(0) { $0 + $1.trainedCount },
            shortest: lengths.first ?? 0, median: lengths.isEmpty ? 0 : lengths[lengths.count / 2],
            longest: lengths.last ?? 0, truncated: collector.limit.truncated, split: collector.limit.split,
            dropped: collector.limit.dropped, isRaw: isRaw, warnings: warnings)
    }

    /// One sample token by token, as text; beyond `limit` rows its middle is left out.
    public func sampleTable(_ index: Int = 0, limit: Int = 60) -> String {
        guard samples.indices.contains(index) else { return "no sample \(index); there are \(samples.count)\n" }
        return SampleTable(sample: samples[index], tokenizer: tokenizer, limit: max(2, limit)).text
    }
}

/// Gathers samples, applies the limit on length and remembers what happened.
struct SampleCollector {
    private(set) var limit: LengthLimit
    private var notes = NoteCounter()
    private var samples: [Sample] = []
    private var seen: Set<[Int32]> = []
    private var duplicates: (count: Int, first: SampleSource)?
    private var lengths: [Int] = []

    init(_ options: TextDataOptions) throws { limit = try LengthLimit(options) }

    mutating func add(_ encoded: EncodedExample, _ source: SampleSource) {
        notes.add(encoded.notes, source)
        for sample in encoded.samples {
            guard sample.trainedCount > 0 else {
                if !encoded.notes.contains(.noAnswer) { notes.add(.noAnswer, source) }
                continue
            }
            lengths.append(sample.tokens.count)
            if !seen.insert(sample.tokens).inserted {
                duplicates = ((duplicates?.count ?? 0) + 1, duplicates?.first ?? source)
            }
            let before = limit.cutAnswers
            samples += limit.apply(sample)
            if limit.cutAnswers > before { notes.add(.answerCutOff, source) }
        }
    }

    /// All samples, or why there are none.
    func finish(_ path: String) throws -> [Sample] {
        guard samples.isEmpty else { return samples }
        guard let maximum = limit.maximum, let shortest = lengths.min(), let longest = lengths.max() else {
            throw DatasetError.empty(
                path, problem: "no sample has a token to train on; \(warnings.joined(separator: "; "))")
        }
        let remedy = "raise max_length (to \(longest) to keep all)"
        if limit.policy == .drop {
            throw DatasetError.empty(
                path,
                problem: "all \(lengths.count) samples are longer than max_length \(maximum) (shortest \(shortest), "
                    + "longest \(longest) tokens) and the policy is drop; \(remedy) or use truncate or split")
        }
        throw DatasetError.empty(
            path,
            problem: "with max_length \(maximum), none of the \(lengths.count) samples (shortest \(shortest), "
                + "longest \(longest) tokens) keeps a token to train on: the prompts fill it; \(remedy)")
    }

    var warnings: [String] {
        let repeated = duplicates.map {
            [
                "\(counted($0.count, "sample")) the same as an earlier one, word for word "
                    + "(first: \($0.first.file):\($0.first.line))"
            ]
        }
        return (repeated ?? []) + notes.warnings
    }
}
