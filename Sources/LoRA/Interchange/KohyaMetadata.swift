// What a picture adapter's file says about its training, in the words of kohya's sd-scripts and of the Stability AI
// Model Metadata Standard.
//
// `ss_…`: https://github.com/kohya-ss/sd-scripts/blob/main/train_network.py; `modelspec.…`:
// https://github.com/kohya-ss/sd-scripts/blob/main/library/sai_model_spec.py

import Foundation

/// The facts of a run that go into the file, with sd-scripts' defaults.
public struct KohyaMetadata: Sendable {
    /// The model that was adapted.
    public struct Base: Sendable {
        /// The file's or folder's name, without the path to it.
        public var name = ""
        /// `KohyaHash.short(of:)`.
        public var shortHash: String?
        /// SHA-256, 64 hexadecimal digits.
        public var hash: String?
        /// Stable Diffusion 2.x.
        public var isSecondVersion = false
        public var predictsVelocity = false

        public init() {}
    }

    /// The adapter's size.
    public struct Network: Sendable {
        public var rank = 4
        /// As configured; the file's own α differs where the scale is α / √rank.
        public var alpha = 1.0
        public var dropout: Double?
        /// What sd-scripts takes as `--network_args`: `conv_dim` and `8`.
        public var arguments: [(name: String, value: String)] = []

        public init() {}
    }

    /// A folder of pictures.
    public struct Folder: Sendable {
        public var name: String
        public var repeats: Int
        public var captions: [String]

        /// - Parameter captions: one for each picture.
        public init(name: String, repeats: Int = 1, captions: [String]) {
            (self.name, self.repeats, self.captions) = (name, repeats, captions)
        }
    }

    /// Pictures of one size after scaling, repetitions counted.
    public struct Bucket: Sendable {
        public var width, height, count: Int

        public init(width: Int, height: Int, count: Int) {
            (self.width, self.height, self.count) = (width, height, count)
        }
    }

    /// What was trained on.
    public struct Pictures: Sendable {
        public var width = 512, height = 512
        public var batchSize = 1
        public var folders: [Folder] = []
        /// Regularisation pictures.
        public var regularisation: [Folder] = []
        /// Empty where all pictures have one size.
        public var buckets: [Bucket] = []
        /// The mean of how far pictures' aspect ratios are from their buckets'.
        public var aspectError = 0.0
        public var smallestBucketSide = 256, largestBucketSide = 1024
        public var isNeverEnlarged = false
        public var flips = false, randomCrops = false
        public var shufflesCaptions = false
        public var keptTokens = 0
        public var captionDropout = 0.0
        public var cachesLatents = true

        public init() {}
    }

    /// How it was trained.
    public struct Training: Sendable {
        public var seed: Int?
        /// `no`, `fp16` or `bf16`.
        public var mixedPrecision = "no"
        public var learningRate = 1e-4
        public var unetLearningRate, textEncoderLearningRate: Double?
        /// `torch.optim.adamw.AdamW(weight_decay=0.01)`.
        public var optimizer = "torch.optim.adamw.AdamW"
        public var schedule = "constant"
        public var warmupSteps = 0
        public var clipSkip: Int?
        public var minSNRGamma, noiseOffset: Double?
        public var hasZeroTerminalSNR = false
        public var gradientNormLimit = 1.0
        public var priorLossWeight = 1.0
        public var accumulation = 1
        public var checkpointsActivations = false
        public var epochs = 1, totalSteps = 1, batchesPerEpoch = 1

        public init() {}
    }

    /// What a person should know, as far as it is known.
    public struct About: Sendable {
        public var author, description, license, tags, usageHint, triggerPhrase: String?
        /// What wrote the file: `lora/0.1.0`.
        public var program = "lora"

        public init() {}
    }

    /// The stem of the adapter's file; prompts in AUTOMATIC1111 name it.
    public var outputName: String
    /// A number that the files of one run share.
    public var session: UInt32 = 0
    public var comment: String?
    public var base = Base()
    public var network = Network()
    public var pictures = Pictures()
    public var training = Training()
    public var about = About()
    /// Seconds since 1970.
    public var startedAt = 0.0, finishedAt = 0.0
    /// Optimizer steps and epochs until this file was written.
    public var steps = 0, epoch = 0
    /// For the date in `modelspec`, which has none.
    public var timeZone = TimeZone.current

    public init(outputName: String) { self.outputName = outputName }
}

// MARK: - As the file has it

extension KohyaMetadata {
    /// Every key with its text.
    public var values: [String: String] {
        let values = baseValues.merging(pictureValues) { $1 }.merging(trainingValues) { $1 }
        return values.mapValues(\.str).merging(modelSpecification) { $1 }
    }

    private var baseValues: [String: PythonValue] {
        var values: [String: PythonValue] = [
            "ss_output_name": .text(outputName), "ss_session_id": .whole(Int(session)),
            "ss_training_comment": .init(comment), "ss_sd_model_name": .text(base.name),
            "ss_v2": .truth(base.isSecondVersion),
            "ss_base_model_version": .text(
                (base.isSecondVersion ? "sd_v2" : "sd_v1") + (base.predictsVelocity ? "_v" : "")),
            "ss_network_module": .text("networks.lora"), "ss_network_dim": .whole(network.rank),
            "ss_network_alpha": .number(network.alpha), "ss_network_dropout": .init(network.dropout),
        ]
        if let hash = base.shortHash { values["ss_sd_model_hash"] = .text(hash) }
        if let hash = base.hash { values["ss_new_sd_model_hash"] = .text(hash) }
        if !network.arguments.isEmpty {
            let arguments = PythonValue.members(network.arguments.map { ($0.name, .text($0.value)) })
            values["ss_network_args"] = .text(arguments.json)
        }
        return values
    }

    private var pictureValues: [String: PythonValue] {
        func count(_ folders: [Folder]) -> Int { folders.reduce(0) { $0 + $1.repeats * $1.captions.count } }
        let buckets = pictures.buckets.isEmpty ? PythonValue.none : bucketInfo
        return [
            "ss_num_train_images": .whole(count(pictures.folders)),
            "ss_num_reg_images": .whole(count(pictures.regularisation)),
            "ss_resolution": .tuple([.whole(pictures.width), .whole(pictures.height)]),
            "ss_batch_size_per_device": .whole(pictures.batchSize),
            "ss_total_batch_size": .whole(pictures.batchSize * training.accumulation),
            "ss_dataset_dirs": .text(Self.directories(pictures.folders).json),
            "ss_reg_dataset_dirs": .text(Self.directories(pictures.regularisation).json),
            "ss_tag_frequency": .text(tagFrequency.json), "ss_bucket_info": .text(buckets.json),
            "ss_enable_bucket": .truth(!pictures.buckets.isEmpty),
            "ss_bucket_no_upscale": .truth(pictures.isNeverEnlarged),
            "ss_min_bucket_reso": .whole(pictures.smallestBucketSide),
            "ss_max_bucket_reso": .whole(pictures.largestBucketSide), "ss_flip_aug": .truth(pictures.flips),
            "ss_random_crop": .truth(pictures.randomCrops), "ss_shuffle_caption": .truth(pictures.shufflesCaptions),
            "ss_keep_tokens": .whole(pictures.keptTokens),
            "ss_caption_dropout_rate": .number(pictures.captionDropout),
            "ss_cache_latents": .truth(pictures.cachesLatents),
        ]
    }

    private var trainingValues: [String: PythonValue] {
        [
            "ss_training_started_at": .number(startedAt), "ss_training_finished_at": .number(finishedAt),
            "ss_steps": .whole(steps), "ss_epoch": .whole(epoch), "ss_seed": .init(training.seed),
            "ss_mixed_precision": .text(training.mixedPrecision), "ss_learning_rate": .number(training.learningRate),
            "ss_unet_lr": .init(training.unetLearningRate),
            "ss_text_encoder_lr": .init(training.textEncoderLearningRate), "ss_optimizer": .text(training.optimizer),
            "ss_lr_scheduler": .text(training.schedule), "ss_lr_warmup_steps": .whole(training.warmupSteps),
            "ss_clip_skip": .init(training.clipSkip), "ss_min_snr_gamma": .init(training.minSNRGamma),
            "ss_noise_offset": .init(training.noiseOffset),
            "ss_zero_terminal_snr": .truth(training.hasZeroTerminalSNR),
            "ss_max_grad_norm": .number(training.gradientNormLimit),
            "ss_prior_loss_weight": .number(training.priorLossWeight),
            "ss_gradient_accumulation_steps": .whole(training.accumulation),
            "ss_gradient_checkpointing": .truth(training.checkpointsActivations),
            "ss_num_epochs": .whole(training.epochs), "ss_max_train_steps": .whole(training.totalSteps),
            "ss_num_batches_per_epoch": .whole(training.batchesPerEpoch),
        ]
    }

    private static func directories(_ folders: [Folder]) -> PythonValue {
        .members(
            folders.map { folder in
                let values = [("n_repeats", folder.repeats), ("img_count", folder.captions.count)]
                return (folder.name, .members(values.map { (key: $0.0, value: .whole($0.1)) }))
            })
    }

    /// How often each tag occurs in each folder: what commas part, in small letters, in the order of appearance.
    private var tagFrequency: PythonValue {
        .members(
            (pictures.folders + pictures.regularisation).map { folder in
                let tags = folder.captions.flatMap { $0.split(separator: ",") }
                    .map { $0.trimmingCharacters(in: .whitespacesAndNewlines).lowercased() }.filter { !$0.isEmpty }
                var (places, counts): ([String: Int], [(key: String, count: Int)]) = ([:], [])
                for tag in tags {
                    if let place = places[tag] {
                        counts[place].count += 1
                    } else {
                        places[tag] = counts.count
                        counts.append((tag, 1))
                    }
                }
                return (folder.name, .members(counts.map { ($0.key, .whole($0.count)) }))
            })
    }

    private var bucketInfo: PythonValue {
        let buckets = pictures.buckets.enumerated().map { index, bucket -> (key: String, value: PythonValue) in
            let size = PythonValue.tuple([.whole(bucket.width), .whole(bucket.height)])
            return ("\(index)", .members([("resolution", size), ("count", .whole(bucket.count))]))
        }
        return .members([("buckets", .members(buckets)), ("mean_img_ar_error", .number(pictures.aspectError))])
    }

    private var modelSpecification: [String: String] {
        let dates = DateFormatter()
        dates.locale = Locale(identifier: "en_US_POSIX")
        dates.timeZone = timeZone
        dates.dateFormat = "yyyy-MM-dd'T'HH:mm:ss"
        let secondVersion = base.predictsVelocity ? "stable-diffusion-v2-768-v" : "stable-diffusion-v2-512"
        let values: [String: String?] = [
            "sai_model_spec": "1.0.1",
            "architecture": (base.isSecondVersion ? secondVersion : "stable-diffusion-v1") + "/lora",
            "implementation": "diffusers", "implementation_version": about.program, "title": outputName,
            "resolution": "\(pictures.width)x\(pictures.height)",
            "date": dates.string(from: Date(timeIntervalSince1970: finishedAt.rounded(.down))),
            "prediction_type": base.predictsVelocity ? "v" : "epsilon",
            "encoder_layer": training.clipSkip.map(String.init), "author": about.author,
            "description": about.description, "license": about.license, "tags": about.tags,
            "usage_hint": about.usageHint, "trigger_phrase": about.triggerPhrase,
        ]
        return values.reduce(into: [:]) { all, field in
            if let value = field.value { all["modelspec.\(field.key)"] = value }
        }
    }
}
