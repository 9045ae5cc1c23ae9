// The arguments of the commands that compute: read by `lora`, which checks them at once, and again by `lora-engine`,
// which does the work.

import ArgumentParser
import Foundation

/// The arguments of `lora train`.
public struct TrainArguments: ParsableArguments {
    /// The configuration file where it is given as an argument.
    @Argument(help: ArgumentHelp("The run's configuration, a YAML file.", valueName: "config.yaml"))
    public var path: String?

    /// The configuration file where it is given as `--config`.
    @Option(name: .customLong("config"), help: "The same, as an option.")
    public var option: String?

    /// Each `KEY=VALUE`, in the order given; they win over the file.
    @Option(name: .customLong("set"), help: "Overrides a key, as in --set learning_rate=1e-4; may be repeated.")
    public var overrides: [String] = []

    /// Left empty for ArgumentParser to fill.
    public init() {}

    /// The configuration file. Asked for last, so that a mistyped option is told as what it is.
    public var file: String {
        get throws {
            guard (path == nil) != (option == nil), let file = path ?? option else {
                throw UsageError(problem: "give one configuration file, as in: lora train examples/helpdesk.yaml")
            }
            return file
        }
    }
}

/// The arguments of `lora generate`.
public struct GenerateArguments: ParsableArguments {
    /// A path, or a name in `ModelCatalogue`.
    @Option(help: "The base model: a GGUF file, a Hugging Face folder, or a model that lora can fetch.")
    public var base: String

    /// Each `PATH` or `PATH:strength`; the strength is 1 unless given.
    @Option(help: "An adapter: a run folder or a PEFT folder; NAME:0.8 sets its strength. May be repeated.")
    public var adapter: [String] = []

    /// The question; nil: each line of standard input is one.
    @Option(help: "What to ask. Without it, each line of standard input is a question.")
    public var prompt: String?

    /// The system prompt; nil: what the chat template says by itself.
    @Option(help: "What the model is told first.")
    public var system: String?

    /// Whether the prompt is continued as it is, without a chat template.
    @Flag(help: "Continue the prompt as it is, without a chat layout.")
    public var raw = false

    /// Tokens of the longest answer; at least 1.
    @Option(help: "The longest answer, in tokens.")
    public var maxTokens = 256

    /// 0 or more; 0 takes the most probable token every time.
    @Option(help: "0 takes the most probable token every time; higher is more varied.")
    public var temperature = 0.0

    /// Above 0, at most 1: the share of probability that is drawn from.
    @Option(name: .customLong("top-p"), help: "Draw only from the most probable tokens that reach this share.")
    public var topP = 1.0

    /// What the drawing of tokens follows from.
    @Option(help: "The same seed draws the same answer.")
    public var seed = 42

    /// As `Accelerator.load` takes it.
    @Option(help: "auto, cpu, cuda, cuda:1 … or mps.")
    public var device = "auto"

    /// Left empty for ArgumentParser to fill.
    public init() {}

    /// Refuses numbers out of their ranges.
    public mutating func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens \(maxTokens): expected 1 or more") }
        guard temperature >= 0 else { throw ValidationError("--temperature \(temperature): expected 0 or more") }
        guard topP > 0, topP <= 1 else { throw ValidationError("--top-p \(topP): expected above 0, at most 1") }
    }
}

/// The arguments of `lora plan`.
public struct PlanArguments: ParsableArguments {
    /// The configuration file.
    @Argument(help: ArgumentHelp("The run's configuration, a YAML file.", valueName: "config.yaml"))
    public var file: String

    /// Each `KEY=VALUE`, in the order given; they win over the file.
    @Option(name: .customLong("set"), help: "Overrides a key, as in --set learning_rate=1e-4; may be repeated.")
    public var overrides: [String] = []

    /// Whether the answer is JSON instead of text.
    @Flag(help: "Answer as JSON.")
    public var json = false

    /// Left empty for ArgumentParser to fill.
    public init() {}
}

/// The arguments of `lora doctor`.
public struct DoctorArguments: ParsableArguments {
    /// The configuration file to check as well, if any.
    @Argument(help: ArgumentHelp("A configuration to check as well.", valueName: "config.yaml"))
    public var file: String?

    /// Whether the answer is JSON instead of text.
    @Flag(help: "Answer as JSON.")
    public var json = false

    /// Left empty for ArgumentParser to fill.
    public init() {}
}

/// What each command is for, in one place for both programs.
public enum CommandTexts {
    /// `lora train`.
    public static let train = CommandConfiguration(
        commandName: "train", abstract: "Train an adapter as a configuration says, and report on it.",
        discussion: """
            The same command goes on where a stopped run ended. Ctrl-C stops after the current step and saves.

              lora train examples/helpdesk.yaml
              lora train examples/helpdesk.yaml --set output_dir=runs/second
            """)
    /// `lora generate`.
    public static let generate = CommandConfiguration(
        commandName: "generate", abstract: "Answer a prompt with a base model and any adapters.",
        discussion: """
            The answer alone goes to standard output. Without --prompt, each line of \
            standard input is a question, and a line '/adapter A[:weight] …' swaps the \
            adapters ('/adapter' alone takes them off).

              lora generate --base smollm2-135m-instruct \\
                --adapter runs/helpdesk --prompt "What is LoRA?"
            """)
    /// `lora sample`.
    public static let sample = CommandConfiguration(
        commandName: "sample", abstract: "Make pictures of a prompt with a base model and any adapters.",
        discussion: """
            Adapters are named in the prompt, as <lora:NAME:0.8>, or with --adapter.

              lora sample --base assets/pocket-emoji --guidance 4 \\
                --prompt "emoji of owl, animal bird <lora:inkwash:0.8>" \\
                --lora-dir runs/inkwash -o owl.png
            """)
    /// `lora plan`.
    public static let plan = CommandConfiguration(
        commandName: "plan", abstract: "Say what a run will take before it starts: steps, memory, time, files.",
        discussion: "  lora plan examples/helpdesk.yaml")
    /// `lora doctor`.
    public static let doctor = CommandConfiguration(
        commandName: "doctor", abstract: "Check this machine, and a configuration with its model and data.",
        discussion: "  lora doctor examples/helpdesk.yaml")
}
