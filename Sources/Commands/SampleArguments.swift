// The arguments of `lora sample`.

import ArgumentParser
import Foundation
import Runs

/// The arguments of `lora sample`.
public struct SampleArguments: ParsableArguments {
    /// A diffusers folder, or a single file.
    @Option(help: "The base model: a diffusers folder, or a .safetensors or .ckpt file.")
    public var base: String

    /// What is wanted; `<lora:NAME:0.8>` in it names an adapter.
    @Option(help: "What to show; <lora:NAME:0.8> in it adds an adapter.")
    public var prompt: String

    /// What is not wanted.
    @Option(help: "What not to show.")
    public var negative = ""

    /// Where adapters are looked for by name.
    @Option(help: "Where the prompt's adapters lie: a folder, looked through two levels deep.")
    public var loraDir = "."

    /// Each `PATH` or `PATH:strength`; the strength is 1 unless given.
    @Option(help: "An adapter: a file or a run folder; NAME:0.8 sets its strength. May be repeated.")
    public var adapter: [String] = []

    /// Evaluations of the sampler.
    @Option(help: "Steps from noise to the picture.")
    public var steps = PictureSampleOptions().samplingSteps

    /// 1: the prompt alone.
    @Option(help: "How strongly the prompt is followed; 1: no guidance.")
    public var guidance = PictureSampleOptions().guidance

    /// A `SamplerChoice`.
    @Option(help: "\(SamplerChoice.allCases.map(\.rawValue).joined(separator: ", ")).")
    public var sampler = SamplerChoice.dpmSolver

    /// The first picture's; each further one's is one higher.
    @Option(help: "The same seed makes the same picture.")
    public var seed = 42

    /// As `WIDTHxHEIGHT`.
    @Option(help: "Pixels, as 512 or 768x512, multiples of 8. Default: what the base was trained on.")
    public var size: SampleSize?

    /// Pictures.
    @Option(help: "How many pictures; the seed of each is one higher.")
    public var batch = 1

    /// As `clip_skip` of a configuration.
    @Option(help: "Layer of the text encoder that is read: 1 the last.")
    public var clipSkip = 1

    /// As `prediction_type` of a configuration.
    @Option(help: "What the model predicts: epsilon or v_prediction. Default: as the base says.")
    public var prediction: PredictionChoice?

    /// As `zero_terminal_snr` of a configuration.
    @Flag(help: "The schedule ends in pure noise, as an adapter was trained.")
    public var zeroTerminalSnr = false

    /// Another autoencoder.
    @Option(help: "Another autoencoder than the base's: a folder or a file.")
    public var vae: String?

    /// A tensor `latents` (1, C, height / 8, width / 8).
    @Option(help: "The noise to start from: a safetensors file with one tensor.")
    public var latents: String?

    /// As `Accelerator.load` takes it.
    @Option(help: "auto, cpu, cuda, cuda:1 … or mps.")
    public var device = "auto"

    /// A PNG file.
    @Option(name: [.customShort("o"), .long], help: "The picture, a PNG file; with --batch, -1, -2 … are added.")
    public var output: String

    /// Left empty for ArgumentParser to fill.
    public init() {}

    /// Refuses numbers out of their ranges.
    public mutating func validate() throws {
        guard (1...1000).contains(steps) else { throw ValidationError("--steps \(steps): expected 1 to 1000") }
        guard guidance >= 0, guidance.isFinite else {
            throw ValidationError("--guidance \(guidance): expected 0 or more")
        }
        guard (1...10_000).contains(batch) else { throw ValidationError("--batch \(batch): expected 1 or more") }
        guard (1...12).contains(clipSkip) else { throw ValidationError("--clip-skip \(clipSkip): expected 1 to 12") }
        guard output.lowercased().hasSuffix(".png") else {
            throw ValidationError("--output \(output): expected a name that ends with .png")
        }
    }
}

extension SamplerChoice: ExpressibleByArgument {}
extension PredictionChoice: ExpressibleByArgument {}

extension SampleSize: ExpressibleByArgument {
    /// Reads `512` or `768x512`, multiples of 8.
    public init?(argument: String) {
        self.init(argument)
        guard isUsable else { return nil }
    }
}
