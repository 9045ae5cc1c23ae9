// What a run knows of itself beyond its configuration and events: `facts.json` in the run folder, from which, with
// `config.yaml` and `events.jsonl`, the report is rebuilt at any time.

import Foundation

/// A file that went into a run or came out of it.
public struct FileFact: Codable, Sendable, Equatable {
    /// As written in the configuration, or relative to the run folder.
    public var path: String
    /// The file's size.
    public var bytes: Int
    /// Hexadecimal, 64 digits.
    public var sha256: String

    /// Makes a fact of values that are known; nothing is read.
    public init(path: String, bytes: Int, sha256: String) {
        (self.path, self.bytes, self.sha256) = (path, bytes, sha256)
    }
}

/// The base model, in the words a report needs.
public struct BaseFacts: Codable, Sendable, Equatable {
    /// `SmolLM2 135M Instruct`, or the file's name where the file does not say.
    public var name: String
    /// `llama`, `qwen2` …
    public var architecture: String
    /// All weights, adapters not counted.
    public var parameters: Int
    /// How the weights are stored: `Q4_1 + Q8_0`, `BF16` …
    public var storage: String
    /// The files that it was read from, the tokenizer's included.
    public var files: [FileFact]

    /// Makes the facts of a base model.
    public init(name: String, architecture: String, parameters: Int, storage: String, files: [FileFact]) {
        (self.name, self.architecture, self.parameters) = (name, architecture, parameters)
        (self.storage, self.files) = (storage, files)
    }
}

/// The data, in the words a report needs.
public struct DataFacts: Codable, Sendable, Equatable {
    /// `alpaca`, `messages`, `sharegpt`, `prompt/completion`, `text` …
    public var format: String
    /// The files that were read, those of `validation_data` included.
    public var files: [FileFact]
    /// Samples that are trained on, after `max_length` was applied.
    public var samples: Int
    /// Tokens of these samples.
    public var tokens: Int
    /// Tokens of these samples that are trained on.
    public var supervisedTokens: Int
    /// Tokens of the shortest, the middle and the longest sample.
    public var shortest, median, longest: Int
    /// Samples that `max_length` cut off, divided and left out.
    public var truncated, split, dropped: Int
    /// Whether answers directly follow what was asked; absent in old files.
    public var isRaw: Bool?
    /// What there is to say of pictures; nil for text.
    public var pictures: PictureFacts?
    /// What the user was told of the data, a line each.
    public var warnings: [String]

    /// Makes the facts of a set of pictures.
    public init(format: String, files: [FileFact], samples: Int, pictures: PictureFacts, warnings: [String]) {
        self.init(
            format: format, files: files, samples: samples, tokens: 0, supervisedTokens: 0, shortest: 0, median: 0,
            longest: 0, truncated: 0, split: 0, dropped: 0, warnings: warnings)
        self.pictures = pictures
    }

    /// Makes the facts of a data set, not marked as raw.
    public init(
        format: String, files: [FileFact], samples: Int, tokens: Int, supervisedTokens: Int,
        shortest: Int, median: Int, longest: Int, truncated: Int, split: Int, dropped: Int, warnings: [String]
    ) {
        (self.format, self.files, self.samples, self.tokens) = (format, files, samples, tokens)
        (self.supervisedTokens, self.shortest, self.median) = (supervisedTokens, shortest, median)
        (self.longest, self.truncated, self.split, self.dropped) = (longest, truncated, split, dropped)
        self.warnings = warnings
    }
}

/// A set of pictures, in the words a report needs.
public struct PictureFacts: Codable, Sendable, Equatable {
    /// Pictures of one size after they were brought to it.
    public struct Bucket: Codable, Sendable, Equatable {
        /// Pixels, and how many pictures.
        public var width, height, count: Int

        /// Makes a bucket.
        public init(width: Int, height: Int, count: Int) {
            (self.width, self.height, self.count) = (width, height, count)
        }
    }

    /// A picture and what is said of it.
    public struct Pair: Codable, Sendable, Equatable {
        /// As the data names it, and its caption with the trigger word.
        public var file, caption: String

        /// Makes a pair.
        public init(file: String, caption: String) { (self.file, self.caption) = (file, caption) }
    }

    /// Pixels: the side of the square whose area pictures have.
    public var resolution: Int
    /// The sizes, most pictures first.
    public var buckets: [Bucket]
    /// Uses of an epoch, repetitions and regularisation pictures counted.
    public var uses: Int
    /// Regularisation pictures.
    public var regularisation: Int
    /// Captions of which not all fits into the text encoder.
    public var cutCaptions: Int
    /// A few pictures with their captions.
    public var pairs: [Pair]
    /// What a prompt needs to have the adapter's effect; nil where the data has no trigger word.
    public var triggerWord: String?

    /// Makes the facts of a set of pictures.
    public init(
        resolution: Int, buckets: [Bucket], uses: Int, regularisation: Int, cutCaptions: Int, pairs: [Pair],
        triggerWord: String?
    ) {
        (self.resolution, self.buckets, self.uses) = (resolution, buckets, uses)
        (self.regularisation, self.cutCaptions, self.pairs) = (regularisation, cutCaptions, pairs)
        self.triggerWord = triggerWord
    }
}

/// What the adapter is made of.
public struct AdapterFacts: Codable, Sendable, Equatable {
    /// Adapted layers, as `q_proj` → 30.
    public var modules: [String: Int]
    /// Trained numbers in all.
    public var parameters: Int
    /// α / r, or α / √r.
    public var scale: Double

    /// Makes the facts of an adapter.
    public init(modules: [String: Int], parameters: Int, scale: Double) {
        (self.modules, self.parameters, self.scale) = (modules, parameters, scale)
    }
}

/// What ran, and where.
public struct MachineFacts: Codable, Sendable, Equatable {
    /// `CPU, 2 threads: Intel Xeon …` or the GPU's name.
    public var device: String
    /// `Linux x86_64`.
    public var system: String
    /// `lora 0.1.0 (commit)`.
    public var program: String
    /// `libtorch 2.11.0`.
    public var engine: String
    /// What it computed in: `float32`, `bfloat16`.
    public var dtype: String

    /// Makes the facts of a machine.
    public init(device: String, system: String, program: String, engine: String, dtype: String) {
        (self.device, self.system, self.program) = (device, system, program)
        (self.engine, self.dtype) = (engine, dtype)
    }
}

/// Everything in `facts.json`. Parts fill in as the run goes on; a report shows what is there.
public struct RunFacts: Codable, Sendable, Equatable {
    /// The command that repeats the run, as typed.
    public var command: String
    /// Hash over base, data and configuration: what must agree before a run is resumed.
    public var identity: String
    /// What runs, and where.
    public var machine: MachineFacts?
    /// The base model.
    public var base: BaseFacts?
    /// The training data.
    public var data: DataFacts?
    /// The adapter.
    public var adapter: AdapterFacts?
    /// Optimizer steps of the whole run.
    public var totalSteps: Int?
    /// Optimizer steps of one pass over the data.
    public var stepsPerEpoch: Int?
    /// Seconds spent in all sessions of the run so far.
    public var seconds: Double
    /// The most memory in use in any session, in MiB: resident for the CPU, the allocator's for others.
    public var peakMemoryMib: Double
    /// `running`, `done`, `interrupted`, `failed: …`.
    public var state: String
    /// Files to use: the adapter, with size and hash.
    public var outputs: [FileFact]

    /// The facts of a run that begins.
    public init(command: String, identity: String) {
        (self.command, self.identity) = (command, identity)
        (seconds, peakMemoryMib, state, outputs) = (0, 0, "running", [])
    }
}
