// Every key of the configuration file, in the order in which a run writes them back.

/// Keys that belong together, under one heading.
struct SettingSection: Sendable {
    let title: String
    let settings: [Setting]
}

/// The closed list of keys.
enum Settings {
    static let sections = [model, pictureModel, data, pictureData, adapter, optimizer, noise, schedule, run, samples]

    static let all = sections.flatMap(\.settings)

    /// By key, `samples.prompts` included.
    static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    /// Another name for `train_data_dir`, for those who have one file.
    static let trainDataAlias = "train_data"

    /// Names of groups: `samples`.
    static let groups = Set(
        all.compactMap { setting in
            setting.key.contains(".") ? setting.key.split(separator: ".").first.map(String.init) : nil
        })

    private static let model = SettingSection(
        title: "Model",
        settings: [
            Setting(
                "base_model", \.model.baseModel, example: "models/SmolLM2-135M-Instruct.Q4_1.gguf",
                "a GGUF file, a Hugging Face or diffusers folder, a .safetensors or .ckpt file"
            ).existingPath,
            Setting(
                "task_type", \.model.taskType, example: "text-generation",
                "text-generation or text-to-image"),
        ])

    private static let data = SettingSection(
        title: "Data",
        settings: [
            Setting(
                "train_data_dir", \.data.trainData, example: "data/train",
                "a folder or a file"
            ).existingPath,
            Setting(
                "metadata_path", \.data.metadataPath, example: "data/train/train.jsonl",
                "one file that lists the samples"
            ).existingPath,
            Setting(
                "validation_data", \.data.validationData, example: "data/validation.jsonl",
                "measured, never trained on"
            ).existingPath,
            Setting(
                "validation_split", \.data.validationSplit, .share, example: "0.1",
                "share of samples held back for validation"),
            Setting(
                "max_length", \.data.maxLengthTokens, .from(8, to: 1 << 20), example: "1024",
                "tokens; the policy treats longer samples"
            ).only(.textGeneration),
            Setting(
                "max_length_policy", \.data.maxLengthPolicy, example: "truncate",
                "truncate, split or drop"
            ).only(.textGeneration),
            Setting(
                "packing", \.data.packing, example: "true",
                "no padding: samples of a batch end to end"
            ).only(.textGeneration),
            Setting(
                "train_on_prompt", \.data.trainOnPrompt, example: "false",
                "false: loss on answers only"
            ).only(.textGeneration),
            Setting(
                "system_prompt", \.data.systemPrompt, example: "\"Answer in one sentence.\"",
                "for conversations without one"
            ).only(.textGeneration),
        ])

    private static let adapter = SettingSection(
        title: "Adapter",
        settings: [
            Setting("lora_rank", \.adapter.rank, .from(1, to: 8192), example: "8", "r"),
            Setting("lora_alpha", \.adapter.alpha, .positive, example: "16", "update scaled by alpha / r"),
            Setting("lora_dropout", \.adapter.dropout, .share, example: "0.05", "share of inputs dropped"),
            Setting(
                "use_rslora", \.adapter.useRankStabilization, example: "true",
                "scale by alpha / sqrt(r)"),
            Setting(
                "target_modules", \.adapter.targetModules, example: "[q_proj, v_proj]",
                "layers; absent: the model's usual ones"
            ).only(.textGeneration),
            Setting(
                "unet_target_modules", \.adapter.unetTargetModules, example: "[attentions]",
                "layers; absent: attentions"
            ).only(.textToImage),
            Setting(
                "text_encoder_target_modules", \.pictures.textEncoderTargets, example: "[self_attn, mlp]",
                "layers; absent: it is not trained"
            ).only(.textToImage),
        ])

    private static let optimizer = SettingSection(
        title: "Optimizer (AdamW)",
        settings: [
            Setting(
                "learning_rate", \.optimizer.learningRate, .positive, example: "2e-4", "the highest of the schedule"),
            Setting(
                "text_encoder_learning_rate", \.pictures.textEncoderLearningRate, .positive, example: "5e-5",
                "absent: half of learning_rate"
            ).only(.textToImage),
            Setting("weight_decay", \.optimizer.weightDecay, .notNegative, example: "0.01", "decoupled"),
            Setting(
                "max_grad_norm", \.optimizer.maxGradientNorm, .notNegative, example: "1.0",
                "larger gradients are scaled down; 0: never"),
            Setting("adam_beta1", \.optimizer.beta1, .share, example: "0.9", "decay of the first moment"),
            Setting("adam_beta2", \.optimizer.beta2, .share, example: "0.999", "decay of the second moment"),
            Setting("adam_epsilon", \.optimizer.epsilon, .positive, example: "1e-8", "keeps the update finite"),
        ])

    private static let schedule = SettingSection(
        title: "Schedule",
        settings: [
            Setting("batch_size", \.schedule.batchSize, .from(1, to: 65_536), example: "4", "samples in a batch"),
            Setting(
                "gradient_accumulation_steps", \.schedule.gradientAccumulationSteps, .from(1, to: 65_536),
                example: "1", "batches in an optimizer step"),
            Setting("epochs", \.schedule.epochs, .from(1, to: 1_000_000), example: "3", "passes over the data"),
            Setting(
                "max_steps", \.schedule.maxSteps, .from(1, to: 1_000_000_000), example: "1000",
                "optimizer steps; absent: epochs decide"),
            Setting("lr_scheduler", \.schedule.kind, example: "cosine", "constant, linear or cosine"),
            Setting(
                "warmup_steps", \.schedule.warmupSteps, .from(0, to: 1_000_000_000), example: "20",
                "optimizer steps; absent: warmup_ratio decides"),
            Setting("warmup_ratio", \.schedule.warmupRatio, .share, example: "0.03", "share of all steps"),
        ])

    private static let run = SettingSection(
        title: "Run",
        settings: [
            Setting(
                "output_dir", \.run.outputDirectory, example: "output/helpdesk",
                "the run folder, from the working directory"
            ).besideResult,
            Setting(
                "output_name", \.run.outputName, example: "\"{project}_lr{learning_rate}_rank{lora_rank}\"",
                "the adapter's name"
            ).besideResult,
            Setting("seed", \.run.seed, .atLeast(0), example: "42", "every random choice follows from it"),
            Setting("device", \.run.device, example: "auto", "auto, cpu, cuda, cuda:0 or mps").besideResult,
            Setting("language", \.run.language, example: "en", "of the report: en or zh").besideResult,
            Setting(
                "mixed_precision", \.run.mixedPrecision, example: "bf16",
                "no, bf16 or fp16; absent: no on a CPU, else bf16"),
            Setting("gradient_checkpointing", \.run.gradientCheckpointing, example: "true", "less memory, more time"),
            Setting(
                "save_steps", \.run.saveSteps, .from(0, to: 1_000_000_000), example: "100",
                "steps between checkpoints; 0: at the end only"
            ).besideResult,
            Setting(
                "save_total_limit", \.run.saveTotalLimit, .from(0, to: 1_000_000), example: "3",
                "checkpoints kept; 0: all"
            ).besideResult,
            Setting(
                "logging_steps", \.run.loggingSteps, .from(1, to: 1_000_000_000), example: "10",
                "steps between lines of the log"
            ).besideResult,
            Setting(
                "eval_steps", \.run.evalSteps, .from(1, to: 1_000_000_000), example: "50",
                "steps between validations; absent: once an epoch"
            ).besideResult,
        ])

    private static let samples = SettingSection(
        title: "Samples: made before and after training, for the report",
        settings: [
            Setting(
                "samples.prompts", \.samples.prompts, example: "[\"What is LoRA?\"]", "questions, or descriptions"
            ).besideResult,
            Setting(
                "samples.max_tokens", \.samples.maxTokens, .from(1, to: 65_536), example: "128",
                "the longest answer"
            ).only(.textGeneration).besideResult,
            Setting(
                "samples.steps", \.samples.steps, .from(1, to: 1_000_000_000), example: "100",
                "steps between samples; absent: before and after only"
            ).besideResult,
        ] + pictureSamples)

    /// What other tools call the same thing.
    static let names: [String: String] = [
        "lr": "learning_rate", "rank": "lora_rank", "r": "lora_rank", "network_dim": "lora_rank", "alpha": "lora_alpha",
        "network_alpha": "lora_alpha", "dropout": "lora_dropout", "num_epochs": "epochs", "num_train_epochs": "epochs",
        "max_train_epochs": "epochs", "max_train_steps": "max_steps", "train_batch_size": "batch_size",
        "per_device_train_batch_size": "batch_size", "micro_batch_size": "batch_size", "model": "base_model",
        "model_name_or_path": "base_model", "pretrained_model_name_or_path": "base_model", "dataset": "train_data_dir",
        "data": "train_data_dir", "lora_target_modules": "target_modules", "lr_scheduler_type": "lr_scheduler",
        "max_seq_length": "max_length", "cutoff_len": "max_length", "sequence_len": "max_length",
        "clip_grad": "max_grad_norm", "enable_bucket": "buckets", "flip_aug": "random_flip", "flip": "random_flip",
        "shuffle_caption": "shuffle_captions", "caption_dropout_rate": "caption_dropout",
        "reg_data_dir": "regularization_data", "text_encoder_lr": "text_encoder_learning_rate",
        "snr_gamma": "min_snr_gamma", "zero_snr": "zero_terminal_snr",
        "gradient_clip": "max_grad_norm", "name": "output_name", "val_set_size": "validation_split",
        "bf16": "mixed_precision",
        "fp16": "mixed_precision", "report_language": "language", "output": "output_dir",
    ]
}
