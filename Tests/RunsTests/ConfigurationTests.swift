// Reading, filling in, writing back and comparing configurations.

import Foundation
import TestSupport
import Testing

@testable import Runs

/// The smallest text configuration.
let smallest = """
    base_model: models/tiny.gguf
    train_data_dir: data/train.jsonl
    output_dir: output/tiny

    """

@Suite("A configuration is read")
struct ConfigurationTests {
    private func parse(_ text: String, overrides: [String] = []) throws -> Configuration {
        try Configuration.parse(text, source: "config.yaml", overrides: overrides)
    }

    @Test("the smallest file is filled in with defaults")
    func defaults() throws {
        let read = try parse(smallest)
        #expect(
            read
                == Configuration(
                    baseModel: "models/tiny.gguf", trainData: "data/train.jsonl", outputDirectory: "output/tiny"))
        #expect(read.adapter.alpha == 16)
        #expect(read.schedule.warmupRatio == 0.03)
        #expect(read.adapterName == "tiny")
    }

    @Test("an image configuration with the usual keys is read, and its task inferred")
    func image() throws {
        let read = try parse(
            """
            # configs/my_lora_config.yaml
            train_data_dir: "./data/style_train"
            metadata_path: "./data/style_train/metadata.csv"
            base_model: "./models/Stable-diffusion/v1-5-pruned.safetensors"
            lora_rank: 16
            lora_alpha: 32
            unet_target_modules: ["attentions"]
            batch_size: 4
            epochs: 15
            learning_rate: 1.5e-4
            resolution: 512
            gradient_checkpointing: true
            mixed_precision: fp16
            output_dir: "./output/cyberpunk_v1"
            output_name: "{project}_v2_lr{learning_rate}_rank{lora_rank}"
            save_steps: 100
            """)
        #expect(read.model.taskType == .textToImage)
        #expect(read.optimizer.learningRate == 1.5e-4)
        #expect(read.adapter.unetTargetModules == ["attentions"])
        #expect(read.pictures.resolutionPixels == 512)
        #expect(read.run.mixedPrecision == .float16)
        #expect(read.adapterName == "cyberpunk_v1_v2_lr1.5e-4_rank16")
    }

    @Test("every key of a text configuration is read")
    func everything() throws {
        let read = try parse(everyKey)
        #expect(read.run.device == .cuda(index: 1))
        #expect(read.run.mixedPrecision == MixedPrecision.none)
        #expect(read.run.language == .zh)
        #expect(read.schedule.warmupSteps == 20)
        #expect(read.schedule.warmupRatio == nil)
        #expect(read.adapter.targetModules == ["q_proj", "v_proj"])
        #expect(read.data.systemPrompt == "Answer: briefly, in 中文.\nNo \"lists\".")
        #expect(read.samples.prompts == ["What is rank?", "- *why* #1: yes", "42", "no"])
        #expect(read.data.maxLengthPolicy == .drop)
        #expect(read.samples.steps == nil)
    }

    @Test("what is written reads back as the same configuration", arguments: [smallest, everyKey, oddTexts])
    func roundTrip(_ text: String) throws {
        let read = try parse(text)
        let again = try parse(read.yaml)
        #expect(again == read)
        #expect(again.yaml == read.yaml)
        #expect(again.identity == read.identity)
    }

    @Test(
        "numbers follow YAML 1.2",
        arguments: [
            ("2e-4", 2e-4), ("1E-4", 1e-4), ("1e4", 1e4), (".5", 0.5), ("+3.", 3), ("0.00015", 1.5e-4), ("7", 7),
        ])
    func numbers(_ text: String, _ value: Double) throws {
        #expect(try parse(smallest + "learning_rate: \(text)").optimizer.learningRate == value)
    }

    @Test(
        "a number is written with the fewest digits that read back",
        arguments: [
            (2e-4, "2e-4"), (1.5e-4, "1.5e-4"), (0.9, "0.9"), (16.0, "16"), (1e-8, "1e-8"), (0.999, "0.999"),
            (0.0, "0"),
            (0.01, "0.01"), (0.00123, "1.23e-3"), (5e-324, "5e-324"), (1.0 / 3, "0.3333333333333333"), (1e22, "1e+22"),
        ])
    func writtenNumbers(_ value: Double, _ text: String) {
        #expect(value.written == text)
        #expect(Double.read(LocatedValue(content: .scalar(text, isPlain: true), position: nil)) == value)
    }

    @Test("whole numbers may be written as 1e3, words of YAML 1.1 mean true and false, null means absent")
    func leniency() throws {
        let text =
            "max_steps: 1e3\npacking: off\nuse_rslora: Yes\nlora_rank: ~\neval_steps: null\nmixed_precision: false\n"
            + "gradient_checkpointing: on"
        let read = try parse(smallest + text)
        #expect(read.schedule.maxSteps == 1000)
        #expect(!read.data.packing)
        #expect(read.adapter.useRankStabilization && read.run.gradientCheckpointing)
        #expect(read.adapter.rank == 8)
        #expect(read.run.evalSteps == nil)
        #expect(read.run.mixedPrecision == MixedPrecision.none)
    }

    @Test("the command line wins over the file")
    func overrides() throws {
        let text = smallest + "lora_rank: 4\nwarmup_ratio: 0.1\nmax_steps: 50\n"
        let read = try parse(
            text,
            overrides: [
                "lora_rank=16", "warmup_steps=5", "target_modules=[k_proj, o_proj]", "samples.prompts=[\"a: b\"]",
                "system_prompt=You: are {kind}", "max_steps=", "train_data=other.jsonl",
            ])
        #expect(read.adapter.rank == 16)
        #expect(read.adapter.alpha == 32)
        #expect(read.schedule.warmupSteps == 5)
        #expect(read.schedule.warmupRatio == nil)
        #expect(read.schedule.maxSteps == nil)
        #expect(read.adapter.targetModules == ["k_proj", "o_proj"])
        #expect(read.samples.prompts == ["a: b"])
        #expect(read.data.systemPrompt == "You: are {kind}")
        #expect(read.data.trainData == "other.jsonl")
    }

    @Test("paths are found beside the file first, then in the working directory")
    func paths() throws {
        try withTemporaryFolder { folder in
            let data = folder.appendingPathComponent("train.jsonl")
            try Data("{}".utf8).write(to: data)
            let config = folder.appendingPathComponent("config.yaml")
            let text =
                "base_model: \(#filePath)\ntrain_data: ./train.jsonl\ntask_type: text-generation\noutput_dir: out/"
            try Data(text.utf8).write(to: config)
            let read = try Configuration.load(config.path)
            #expect(read.data.trainData == data.path)
            #expect(read.run.outputDirectory == "out")
            #expect(read.model.baseModel == #filePath)
        }
    }

    @Test("the identity changes with what shapes the adapter and with nothing else")
    func identity() throws {
        let base = try parse(smallest)
        for text in ["lora_rank: 4", "seed: 1", "epochs: 4", "learning_rate: 1e-4", "packing: false", "max_length: 64"]
        {
            #expect(try parse(smallest + text).identity != base.identity, "\(text)")
        }
        for text in [
            "device: cpu", "language: zh", "save_steps: 7", "logging_steps: 1", "output_name: x", "lora_alpha: 16",
        ] {
            #expect(try parse(smallest + text).identity == base.identity, "\(text)")
        }
        #expect(base.identity.count == 64)
    }

    @Test("differences name each key with both values")
    func differences() throws {
        let one = try parse(smallest)
        let two = try parse(smallest + "lora_rank: 4\ndevice: cpu\nmax_steps: 9")
        let found = one.differences(to: two)
        #expect(found.map(\.key) == ["lora_rank", "lora_alpha", "max_steps", "device"])
        #expect(found.map(\.values.0) == ["8", "16", "~", "auto"])
        #expect(found.map(\.values.1) == ["4", "8", "9", "cpu"])
        #expect(found.map(\.shapesResult) == [true, true, true, false])
    }
}

/// Every key of a text run.
let everyKey = """
    base_model: models/tiny
    task_type: text-generation
    train_data_dir: data
    metadata_path: data/train.jsonl
    validation_split: 0.1
    max_length: 256
    max_length_policy: drop
    packing: false
    train_on_prompt: true
    system_prompt: "Answer: briefly, in 中文.\\nNo \\"lists\\"."
    lora_rank: 4
    lora_alpha: 4.5
    lora_dropout: 0.05
    use_rslora: true
    target_modules: [q_proj, v_proj]
    learning_rate: 1e-4
    weight_decay: 0.01
    max_grad_norm: 0
    adam_beta1: 0.8
    adam_beta2: 0.99
    adam_epsilon: 1e-6
    batch_size: 2
    gradient_accumulation_steps: 8
    epochs: 2
    max_steps: 100
    lr_scheduler: linear
    warmup_steps: 20
    output_dir: /tmp/runs/one
    output_name: "{project}-{target_modules}-{device}"
    seed: 7
    device: cuda:1
    language: zh
    mixed_precision: no
    gradient_checkpointing: true
    save_steps: 10
    save_total_limit: 0
    logging_steps: 1
    eval_steps: 5
    samples:
      prompts:
        - What is rank?
        - "- *why* #1: yes"
        - 42
        - no
      max_tokens: 32
      steps: ~
    """

/// Texts that YAML could take for something else.
let oddTexts = """
    base_model: "no"
    train_data_dir: "1e3"
    task_type: text-generation
    output_dir: "a: b #c"
    output_name: "5."
    system_prompt: "\\u2028\\u0085tab\\tbell\\u0007 \\uFEFF 🙂 'x' \\\\ ~ ---"
    target_modules: ["null", "~", "...", "-", "[x]", "true", ".inf", "a, {b", "é", " x "]
    samples: {prompts: ["", "null", "---", "? a", "%TAG", "!x", "&a", "*a", "|", "> b", "@", "`"]}
    """
