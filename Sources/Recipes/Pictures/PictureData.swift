// The pictures of a run: what is trained on, what is held back, and in which order.

import Datasets
import Foundation
import Runs

/// The pictures of a run.
struct PictureData {
    /// What is trained on, followed by what is held back.
    let samples: [PictureSample]
    /// Which of `samples` are held back.
    let validation: Range<Int>
    /// Which of `samples` go into which step.
    let plan: PictureBatchPlan
    let summary: PictureDataSummary
    let warnings: [String]
    /// Pictures, masks and lists of captions.
    let files: [FileFact]
    /// The side of the square whose area pictures have, in pixels.
    let resolution: Int
    private let options: PictureOptions

    /// Reads and checks the pictures that a configuration names.
    init(_ configuration: Configuration, resolution: Int) throws {
        var options = PictureDataOptions(configuration, resolution: resolution)
        let seed = options.captions.seed
        let metadata = configuration.data.metadataPath.map { URL(fileURLWithPath: $0) }
        let folder = configuration.data.trainData.map { URL(fileURLWithPath: $0, isDirectory: true) }
        let all = try PictureDataset(
            path: folder ?? metadata?.deletingLastPathComponent() ?? URL(fileURLWithPath: "."), metadata: metadata,
            options: options)
        var (training, held) = try all.divided(share: configuration.data.validationSplit, seed: seed)
        var (pictures, files, warnings) = (all.samples, all.files, all.summary.warnings)
        if let path = configuration.data.validationData {
            options.regularisation = nil
            let other = try PictureDataset(path: URL(fileURLWithPath: path, isDirectory: true), options: options)
            held += other.samples
            pictures += other.samples
            files += other.files
            warnings += other.summary.warnings.map { "validation_data: \($0)" }
            let known = Set(training.map(\.contentHash))
            let seen = other.samples.count { known.contains($0.contentHash) }
            if seen > 0 {
                warnings.append("validation_data: \(seen) of \(other.samples.count) pictures are trained on, too")
            }
        }
        plan = try PictureBatchPlan(
            training, batchSize: configuration.schedule.batchSize,
            accumulation: configuration.schedule.gradientAccumulationSteps, flips: configuration.pictures.flips,
            seed: seed)
        validation = training.count..<training.count + held.count
        samples = training + held
        let hashes = Dictionary(pictures.map { ($0.url, $0.contentHash) }) { first, _ in first }
        self.files = try files.map { try FileFact($0, sha256: hashes[$0]) }
        (summary, self.warnings, self.resolution) = (all.summary, warnings, resolution)
        self.options = configuration.pictures
    }

    /// How names and folders decide what is learnt: a line for each picture.
    var arrangement: [String] {
        samples.enumerated().map { index, sample in
            let kind = validation.contains(index) ? "held back" : sample.isRegularisation ? "regularisation" : "taught"
            let mask = sample.mask.map { "\($0)".contains("alpha") ? "alpha" : "mask" } ?? ""
            return "\(sample.name)|\(sample.caption)|\(sample.repeats)|\(kind)|\(mask)"
        }
    }

    /// Every picture in every form that a step may use.
    var forms: [PictureForm] {
        let flips = options.flips ? [false, true] : [false]
        return samples.indices.flatMap { index in
            (validation.contains(index) ? [false] : flips).map { PictureForm(sample: samples[index], isFlipped: $0) }
        }
    }

    /// Every caption that a step may use, unless captions are shuffled.
    var captions: Set<String> { Set(samples.map(\.caption)).union(options.captionDropout > 0 ? [""] : []) }

    /// Where most captions come from.
    private var format: String {
        let origin = summary.origins.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key
        return origin.map { "captions: \($0.rawValue)" } ?? "pictures"
    }

    /// A few pictures with their captions.
    private var pairs: [PictureFacts.Pair] {
        summary.examples.map { .init(file: $0.name, caption: $0.caption) }
    }

    /// The same to look at before the first step.
    var table: String {
        let width = pairs.map(\.file.count).max() ?? 0
        return pairs.map { "  \($0.file.padding(toLength: width, withPad: " ", startingAt: 0))  \($0.caption)" }
            .joined(separator: "\n")
    }

    /// What the report says of the data.
    func facts(cutCaptions: Int, _ more: [String]) -> DataFacts {
        let training = samples[..<validation.lowerBound]
        let sizes = Dictionary(grouping: training, by: \.fit.bucket).map { size, samples in
            PictureFacts.Bucket(width: size.width, height: size.height, count: samples.count)
        }
        let cut = cutCaptions > 0 ? ["\(cutCaptions) captions are longer than 75 tokens; their ends are not read"] : []
        return DataFacts(
            format: format, files: files, samples: training.count { !$0.isRegularisation },
            pictures: PictureFacts(
                resolution: resolution,
                buckets: sizes.sorted { ($1.count, $0.width, $0.height) < ($0.count, $1.width, $1.height) },
                uses: plan.usesPerEpoch, regularisation: training.count(where: \.isRegularisation),
                cutCaptions: cutCaptions, pairs: pairs, triggerWord: options.triggerWord),
            warnings: warnings + cut + more)
    }
}

extension PictureDataOptions {
    fileprivate init(_ configuration: Configuration, resolution: Int) {
        let pictures = configuration.pictures
        self.init(resolution: resolution, usesBuckets: pictures.usesBuckets)
        captions.triggerWord = pictures.triggerWord
        captions.shufflesTags = pictures.shufflesCaptions
        captions.keptTags = pictures.keptTokens
        captions.dropout = pictures.captionDropout
        captions.seed = UInt64(bitPattern: Int64(configuration.run.seed))
        regularisation = pictures.regularizationData.map { URL(fileURLWithPath: $0, isDirectory: true) }
        regularisationWeight = pictures.priorLossWeight
        maskFolder = pictures.masks.map { URL(fileURLWithPath: $0, isDirectory: true) }
        usesAlphaAsMask = pictures.masksByAlpha
        skipsBroken = pictures.skipsBroken
    }
}
