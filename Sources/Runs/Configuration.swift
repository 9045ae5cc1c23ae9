// What a run is asked to do: the settings of `lora train config.yaml`, one struct per concern, defaults beside their
// meaning. In YAML the keys are flat; Settings.swift says which key fills which property.

/// Everything that a configuration file says, defaults filled in.
public struct Configuration: Sendable, Equatable {
    /// The model that is adapted.
    public var model = ModelOptions()
    /// What is learnt from.
    public var data = DataOptions()
    /// The shape of the adapter.
    public var adapter = AdapterOptions()
    /// How a step changes the adapter.
    public var optimizer = OptimizerOptions()
    /// How many steps there are, and how the learning rate moves.
    public var schedule = ScheduleOptions()
    /// Where and how the run takes place, and what it leaves behind.
    public var run = RunOptions()
    /// Questions or descriptions that samples are made of.
    public var samples = SampleOptions()
    /// What only runs over pictures are asked.
    public var pictures = PictureOptions()
    /// How pictures for the report are made.
    public var pictureSamples = PictureSampleOptions()

    /// A configuration with every default, for a text model.
    public init(baseModel: String, trainData: String, outputDirectory: String) {
        model.baseModel = baseModel
        data.trainData = trainData
        run.outputDirectory = outputDirectory
    }

    init() {}
}

/// What kind of model is trained.
public enum TaskType: String, Sendable, CaseIterable {
    /// A language model.
    case textGeneration = "text-generation"
    /// A model that makes pictures of descriptions.
    case textToImage = "text-to-image"
}

/// The model that is adapted.
public struct ModelOptions: Sendable, Equatable {
    /// A GGUF file, a Hugging Face or diffusers folder, or another file of weights.
    public var baseModel = ""
    /// Inferred when the file does not say and it is clear.
    public var taskType = TaskType.textGeneration
}

/// What becomes of samples longer than `max_length`.
public enum MaxLengthPolicy: String, Sendable, CaseIterable {
    /// The end is cut off.
    case truncate
    /// The rest becomes samples of its own.
    case split
    /// The sample is left out.
    case drop
}

/// What is learnt from.
public struct DataOptions: Sendable, Equatable {
    /// A folder or a file.
    public var trainData: String?
    /// One file that lists the samples: `metadata.csv` for images, `train.jsonl` for text.
    public var metadataPath: String?
    /// A file or folder whose loss is measured and never trained on.
    public var validationData: String?
    /// The share of samples that is held back for validation; 0 holds back none.
    public var validationSplit = 0.0
    /// Longer samples are treated by the policy. Enough for most question–answer data, and memory grows with it.
    public var maxLengthTokens = 1024
    /// Cutting keeps every sample; the summary says how many were cut.
    public var maxLengthPolicy = MaxLengthPolicy.truncate
    /// True: samples of a batch are laid end to end without padding; false: padded to the longest, as other tools do.
    public var packing = true
    /// False: the loss is taken on answers only.
    public var trainOnPrompt = false
    /// Put before conversations that have no system message of their own.
    public var systemPrompt: String?

    /// The file or folder that text samples are read from.
    public var textPath: String { metadataPath ?? trainData ?? "" }
}

/// The shape of the adapter.
public struct AdapterOptions: Sendable, Equatable {
    /// r: eight is the original paper's choice for attention layers.
    public var rank = 8
    /// α: the update is scaled by α / r. Unless given, twice the rank.
    public var alpha = 16.0
    /// The share of inputs dropped before the adapter while training.
    public var dropout = 0.0
    /// Scales by α / √r (arXiv:2312.03732) in place of α / r.
    public var useRankStabilization = false
    /// Layers by name or pattern; empty: what the model's architecture is usually adapted at.
    public var targetModules: [String] = []
    /// The same for the UNet of a picture model.
    public var unetTargetModules: [String] = []
}

/// How a step changes the adapter: AdamW (arXiv:1711.05101) and the bound on its gradient.
public struct OptimizerOptions: Sendable, Equatable {
    /// The highest learning rate of the schedule. Adapters bear ten times what full training does.
    public var learningRate = 2e-4
    /// Decoupled; adapters are small enough to go without.
    public var weightDecay = 0.0
    /// Gradients with a larger norm are scaled down to it; 0 leaves them as they are.
    public var maxGradientNorm = 1.0
    /// AdamW's decay of the first moment.
    public var beta1 = 0.9
    /// AdamW's decay of the second moment.
    public var beta2 = 0.999
    /// Added to the denominator of the update.
    public var epsilon = 1e-8
}

/// How the learning rate moves after warm-up.
public enum ScheduleKind: String, Sendable, CaseIterable {
    /// Stays, falls in a line to zero, or falls along half a cosine to zero.
    case constant, linear, cosine
}

/// How many steps there are, and how the learning rate moves.
public struct ScheduleOptions: Sendable, Equatable {
    /// Samples in a batch.
    public var batchSize = 4
    /// Batches whose gradients make one optimizer step.
    public var gradientAccumulationSteps = 1
    /// Passes over the data.
    public var epochs = 3
    /// Optimizer steps; when given, it decides in place of `epochs`.
    public var maxSteps: Int?
    /// Falls along half a cosine to zero, gently at both ends.
    public var kind = ScheduleKind.cosine
    /// Optimizer steps of warm-up; when given, it decides in place of the ratio.
    public var warmupSteps: Int?
    /// The share of all steps that the learning rate rises for. Unless either is given, 0.03.
    public var warmupRatio: Double? = 0.03
}

/// Where a run computes.
public enum DeviceChoice: Sendable, Equatable {
    /// The first GPU that works, or else the CPU.
    case auto
    /// The processor.
    case cpu
    /// An NVIDIA GPU, by index where there are several.
    case cuda(index: Int?)
    /// Apple's GPU.
    case mps
}

/// The language of the report.
public enum ReportLanguage: String, Sendable, CaseIterable {
    /// English.
    case en
    /// Chinese.
    case zh
}

/// The number format that matrices are multiplied in.
public enum MixedPrecision: String, Sendable, CaseIterable {
    /// 32 bits throughout.
    case none = "no"
    /// 16 bits with the range of 32 and 8 bits of precision.
    case bfloat16 = "bf16"
    /// 16 bits as IEEE 754 has them: 11 bits of precision, at most 65,504.
    case float16 = "fp16"
}

/// Where and how the run takes place, and what it leaves behind.
public struct RunOptions: Sendable, Equatable {
    /// The run folder. Relative to the working directory, wherever the configuration lies.
    public var outputDirectory = ""
    /// The adapter's name; keys in braces are replaced by their values, `{project}` by the run folder's name.
    public var outputName = "{project}"
    /// Every random choice follows from it.
    public var seed = 42
    /// Where to compute.
    public var device = DeviceChoice.auto
    /// The language of the report.
    public var language = ReportLanguage.en
    /// Absent: 32 bits on the CPU, bf16 on a GPU.
    public var mixedPrecision: MixedPrecision?
    /// Computes activations twice to keep fewer of them: less memory, a third to a half more time.
    public var gradientCheckpointing = false
    /// Optimizer steps between checkpoints; 0 saves at the end only.
    public var saveSteps = 100
    /// Checkpoints kept, newest first; 0 keeps all. Resuming needs one.
    public var saveTotalLimit = 3
    /// Optimizer steps between lines of the log; events record every step.
    public var loggingSteps = 10
    /// Optimizer steps between validations; absent: once an epoch.
    public var evalSteps: Int?
}

/// Samples made before and after training, for the report.
public struct SampleOptions: Sendable, Equatable {
    /// Questions, or descriptions of pictures.
    public var prompts: [String] = []
    /// The longest answer, in tokens.
    public var maxTokens = 128
    /// Optimizer steps between samples; absent: only before and after training.
    public var steps: Int?
}
