// The files of a finished picture adapter: kohya's layout, which every program reads, with a card and a preview.

import Commands
import Datasets
import Formats
import Foundation
import LoRA
import Models
import Runs

/// Writes a picture adapter.
struct PictureExports {
    static let checkpointName = "pytorch_lora_weights.safetensors"
    private let configuration: Configuration
    private let plan: KohyaMetadata
    private let studio: PictureStudio
    private let layout: RunLayout

    init(
        _ configuration: Configuration, _ base: PictureBase, _ baseFiles: [FileFact], _ data: PictureData,
        _ studio: PictureStudio, _ layout: RunLayout
    ) throws {
        (self.configuration, self.studio, self.layout) = (configuration, studio, layout)
        plan = try KohyaMetadata(configuration, base, baseFiles, data)
    }

    /// The adapter of a checkpoint, as diffusers names it.
    func writeCheckpoint(_ adapters: PictureAdapters, to folder: URL) throws {
        let metadata = try metadata.values
        try adapters.write(.kohya, metadata: metadata, to: folder.appendingPathComponent(Self.checkpointName))
    }

    /// What the run has come to, from its events: the same however often it is written.
    private var metadata: KohyaMetadata {
        get throws {
            var metadata = plan
            let events = try layout.readEvents()
            metadata.session = UInt32(try layout.readFacts().identity.prefix(8), radix: 16) ?? 0
            let last = events.last { $0.type == .step }
            (metadata.startedAt, metadata.finishedAt) = (events.first?.time ?? 0, last?.time ?? 0)
            (metadata.steps, metadata.epoch) = (last?.step ?? 0, Int((last?.epoch ?? 0).rounded(.up)))
            return metadata
        }
    }

    /// `NAME.safetensors` with the same bytes as the checkpoints' folder has, its card for AUTOMATIC1111 and its
    /// preview.
    func write(_ adapters: PictureAdapters, to folder: URL) throws -> [URL] {
        let name = configuration.adapterName
        let adapter = folder.appendingPathComponent("\(name).safetensors")
        try adapters.write(.kohya, metadata: metadata.values, to: adapter)
        let card = folder.appendingPathComponent("\(name).json")
        var content = WebUICard()
        content.version = plan.base.isSecondVersion ? "SD2" : "SD1"
        (content.activationText, content.preferredWeight) = (configuration.pictures.triggerWord ?? "", 0.8)
        content.notes = "rank \(plan.network.rank), alpha \(plan.network.alpha); made by \(Version.text)"
        try content.write(to: card)
        let picture = folder.appendingPathComponent("\(name).png")
        if let preview = studio.preview { try AtomicFile.write(preview.png(), to: picture) }
        // A preview of an earlier process of this run is still there.
        return [adapter, card] + (FileManager.default.fileExists(atPath: picture.path) ? [picture] : [])
    }
}

extension KohyaMetadata {
    /// What a run is known to be before it begins.
    init(_ configuration: Configuration, _ base: PictureBase, _ files: [FileFact], _ data: PictureData) throws {
        self.init(outputName: configuration.adapterName)
        let options = configuration.pictures
        self.base.name = base.url.lastPathComponent
        self.base.isSecondVersion = base.kind == .stableDiffusion2
        self.base.predictsVelocity = base.noise.prediction == .velocity
        self.base.shortHash = try KohyaHash.short(of: base.url)
        self.base.hash = files.first { $0.path == base.url.relativePath }?.sha256
        network.rank = configuration.adapter.rank
        network.alpha = configuration.adapter.alpha
        network.dropout = configuration.adapter.dropout > 0 ? configuration.adapter.dropout : nil
        pictures.describe(configuration, data)
        training.describe(configuration, data)
        about.triggerPhrase = options.triggerWord
        about.program = Version.text
    }
}

extension KohyaMetadata.Pictures {
    fileprivate mutating func describe(_ configuration: Configuration, _ data: PictureData) {
        (width, height, batchSize) = (data.resolution, data.resolution, configuration.schedule.batchSize)
        let training = data.samples[..<data.validation.lowerBound]
        /// Folders as sd-scripts names them, `10_name`.
        func name(_ sample: PictureSample) -> String {
            let isNamed = sample.folder.wholeMatch(of: /[0-9]+_.*/) != nil
            return isNamed ? sample.folder : "\(sample.repeats)_\(sample.folder)"
        }
        func grouped(_ samples: [PictureSample]) -> [KohyaMetadata.Folder] {
            Dictionary(grouping: samples, by: name).sorted { $0.key < $1.key }.map { name, samples in
                KohyaMetadata.Folder(name: name, repeats: samples[0].repeats, captions: samples.map(\.caption))
            }
        }
        folders = grouped(training.filter { !$0.isRegularisation })
        regularisation = grouped(training.filter(\.isRegularisation))
        if configuration.pictures.usesBuckets {
            buckets = Dictionary(grouping: training, by: \.fit.bucket).sorted { $0.key < $1.key }.map { size, samples in
                KohyaMetadata.Bucket(
                    width: size.width, height: size.height, count: samples.reduce(0) { $0 + $1.repeats })
            }
        }
        aspectError = data.summary.meanAspectError
        (smallestBucketSide, largestBucketSide) = (data.resolution / 2, 2 * data.resolution)
        flips = configuration.pictures.flips
        shufflesCaptions = configuration.pictures.shufflesCaptions
        keptTokens = configuration.pictures.keptTokens
        captionDropout = configuration.pictures.captionDropout
    }
}

extension KohyaMetadata.Training {
    fileprivate mutating func describe(_ configuration: Configuration, _ data: PictureData) {
        let (options, pictures) = (configuration.schedule, configuration.pictures)
        seed = configuration.run.seed
        mixedPrecision = configuration.run.mixedPrecision?.rawValue ?? "no"
        learningRate = configuration.optimizer.learningRate
        unetLearningRate = configuration.optimizer.learningRate
        if !pictures.textEncoderTargets.isEmpty {
            textEncoderLearningRate =
                pictures.textEncoderLearningRate ?? configuration.optimizer.learningRate / 2
        }
        optimizer = "torch.optim.adamw.AdamW(weight_decay=\(configuration.optimizer.weightDecay))"
        schedule = options.kind.rawValue
        totalSteps = options.totalSteps(stepsPerEpoch: data.plan.stepsPerEpoch)
        warmupSteps = LearningRateSchedule(options, totalSteps: totalSteps).warmupSteps
        clipSkip = pictures.clipSkip > 1 ? pictures.clipSkip : nil
        minSNRGamma = pictures.minSNRGamma
        noiseOffset = pictures.noiseOffset > 0 ? pictures.noiseOffset : nil
        hasZeroTerminalSNR = pictures.zeroTerminalSNR
        gradientNormLimit = configuration.optimizer.maxGradientNorm
        priorLossWeight = pictures.priorLossWeight
        accumulation = options.gradientAccumulationSteps
        checkpointsActivations = configuration.run.gradientCheckpointing
        batchesPerEpoch = data.plan.steps(epoch: 0).reduce(0) { $0 + $1.count }
        epochs = (totalSteps + data.plan.stepsPerEpoch - 1) / data.plan.stepsPerEpoch
    }
}
