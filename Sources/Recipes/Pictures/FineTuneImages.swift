// Fine-tunes Stable Diffusion with LoRA on a folder of pictures.
//
// Supports: Stable Diffusion 1.x and 2.x, noise and velocity prediction, min-SNR-γ, noise offset, zero-terminal SNR,
// adapters on the UNet and the text encoder, gradient accumulation (a step
// does not depend on how it is cut into micro-batches), gradient checkpointing. Not
// here: SDXL, inpainting.

import Datasets
import Foundation
import LoRA
import Models
import NN
import Runs
import Tokenizers
import Torch
import Training

/// Pictures: what `lora train` does with Stable Diffusion.
///
/// The autoencoder is loaded only for what is not in the cache; it and the text encoder leave memory before the UNet
/// comes, unless captions change or the text encoder is trained.
struct FineTuneImages: Recipe {
    private let configuration: Configuration
    private let say: (String) -> Void
    private let base: PictureBase
    private let tokenizer: CLIPTokenizer
    private let data: PictureData
    private let cache: PictureCache
    let baseFiles: [FileFact]
    var dataFiles: [FileFact] { data.files }
    var dataArrangement: [String] { data.arrangement }

    init(_ configuration: Configuration, say: @escaping (String) -> Void) throws {
        (self.configuration, self.say) = (configuration, say)
        base = try PictureBase(configuration)
        tokenizer = try base.tokenizer()
        try Self.check(configuration, base)
        data = try PictureData(configuration, resolution: base.resolution(configuration))
        baseFiles = try base.files.map { try FileFact($0) }
        cache = try PictureCache(configuration.pictures.cacheDirectory)
    }

    /// Refuses what would fail only after much work.
    private static func check(_ configuration: Configuration, _ base: PictureBase) throws {
        let (options, file) = (configuration.pictures, configuration.model.baseModel)
        guard base.autoencoder.config.pixelsPerLatent == 8 else {
            throw ModelError.config(
                file: file,
                problem: "a VAE with \(base.autoencoder.config.pixelsPerLatent) pixels for a latent; 8 are expected")
        }
        guard options.clipSkip <= base.textEncoder.config.layers else {
            throw ModelError.config(
                file: file,
                problem:
                    "clip_skip \(options.clipSkip), but the text encoder has \(base.textEncoder.config.layers) layers")
        }
        let nowhere = Placement(.cpu, .float32)
        try unetConfig(configuration).check(against: UNet2DConditionModel(base.unet.config, on: nowhere))
        if !options.textEncoderTargets.isEmpty {
            try textConfig(configuration).check(against: CLIPTextModel(base.textEncoder.config, on: nowhere))
        }
        if !configuration.samples.prompts.isEmpty {
            let sampling = DenoisingOptions(configuration.pictureSamples)
            _ = try sampling.sampler.sampler(NoiseSchedule(noise(configuration, base)), steps: sampling.steps)
        }
    }

    private static func unetConfig(_ configuration: Configuration) -> LoRAConfig {
        let targets = configuration.adapter.unetTargetModules
        return LoRAConfig(configuration.adapter, targets: targets, usual: ["attentions"], key: "unet_target_modules")
    }

    private static func textConfig(_ configuration: Configuration) -> LoRAConfig {
        let targets = configuration.pictures.textEncoderTargets
        return LoRAConfig(configuration.adapter, targets: targets, usual: [], key: "text_encoder_target_modules")
    }

    private static func noise(_ configuration: Configuration, _ base: PictureBase) -> NoiseScheduleConfig {
        var noise = base.noise
        noise.rescalesToZeroSNR = noise.rescalesToZeroSNR || configuration.pictures.zeroTerminalSNR
        return noise
    }

    func prepare(on placement: Placement, folder: RunLayout) throws -> PreparedRun {
        let loadAutoencoder = { [base] in
            // Many models' numbers leave the range of fp16 here.
            try base.loadAutoencoder(on: Placement(placement.device, .float32))
        }
        let latents = PictureLatents(
            cache, base.autoencoder.config, identity: hashes(of: base.autoencoder.files), files: data.files)
        try latents.prepare(data.forms, on: placement.device, load: loadAutoencoder, progress: note("latents"))
        let (text, textAdapters) = try prepareText(on: placement)

        let unet = try base.loadUNet(on: placement)
        unet.checkpointsGradients = configuration.run.gradientCheckpointing
        let unetAdapters = try LoRASet.inject(
            Self.unetConfig(configuration), into: unet, seed: configuration.run.seed, on: placement.device)
        let adapters = PictureAdapters(unet: unetAdapters, textEncoder: textAdapters)
        let studio = PictureStudio(configuration, folder, size: sampleSize, load: loadAutoencoder)
        let task = PictureTask(
            .init(
                unet: unet, adapters: adapters, text: text, data: data, latents: latents,
                schedule: NoiseSchedule(Self.noise(configuration, base)), configuration: configuration, studio: studio,
                exports: try PictureExports(configuration, base, baseFiles, data, studio, folder)))
        return PreparedRun(
            task: task, groups: groups(adapters), base: base.facts(unet, files: baseFiles),
            data: data.facts(cutCaptions: data.captions.count { text.cutCount($0) > 0 }, adapters.warnings + warnings),
            adapter: adapters.facts, stepsPerEpoch: data.plan.stepsPerEpoch, summary: data.summary.line,
            example: data.table)
    }

    private var warnings: [String] {
        var warnings: [String] = []
        if configuration.pictures.zeroTerminalSNR, base.noise.prediction == .epsilon {
            warnings.append(
                "zero_terminal_snr: of pure noise, a model that predicts noise learns nothing; it is for v_prediction")
        }
        let stored = base.storedPrediction
        if stored != base.noise.prediction {
            warnings.append(
                "prediction_type is \(base.noise.prediction.rawValue), the base says \(stored.rawValue); the adapter will work "
                    + "only where that is set, too")
        }
        return warnings
    }

    private var sampleSize: SampleSize {
        let side = base.resolution(configuration)
        return configuration.pictureSamples.size ?? SampleSize(width: side, height: side)
    }

    /// What is trained, the text encoder at a learning rate of its own.
    private func groups(_ adapters: PictureAdapters) -> [ParameterGroup] {
        let rate = configuration.optimizer.learningRate
        let textRate = configuration.pictures.textEncoderLearningRate ?? rate / 2
        return [
            ParameterGroup(adapters.parameters(of: .unet), learningRate: rate),
            ParameterGroup(adapters.parameters(of: .textEncoder), learningRate: textRate),
        ].filter { !$0.parameters.isEmpty }
    }

    /// The captions' states on disk, or the text encoder in memory where it is trained or captions change.
    private func prepareText(on placement: Placement) throws -> (PictureText, LoRASet?) {
        let options = configuration.pictures
        let encoder = try base.loadTextEncoder(on: placement)
        let text = PictureText(
            encoder, tokenizer, clipSkip: options.clipSkip, cache: cache,
            identity: hashes(of: base.textEncoder.files) + ["\(placement.dtype)"])
        guard options.textEncoderTargets.isEmpty else {
            text.isTrained = true
            return (
                text,
                try LoRASet.inject(
                    Self.textConfig(configuration), into: encoder, seed: configuration.run.seed, on: placement.device)
            )
        }
        try text.remember(configuration.samples.prompts, configuration.pictureSamples.negativePrompt)
        if !options.shufflesCaptions { try text.prepare(data.captions, progress: note("captions")) }
        return (text, nil)
    }

    private func hashes(of files: [URL]) -> [String] {
        let paths = Set(files.map(\.relativePath))
        return baseFiles.filter { paths.contains($0.path) }.map(\.sha256)
    }

    /// Says now and then how far encoding is.
    private func note(_ what: String) -> (Int, Int) throws -> Void {
        var last: ContinuousClock.Instant?
        return { done, total in
            try Interrupted.check()
            if let last, ContinuousClock.now - last < .seconds(10) { return }
            last = .now
            let name = what.padding(toLength: 10, withPad: " ", startingAt: 0)
            say("\(name)\(done) of \(total) encoded; they are kept for the next run")
        }
    }
}

extension PictureBase {
    /// The base that a configuration names.
    init(_ configuration: Configuration) throws {
        try self.init(
            ModelCatalogue.locate(configuration.model.baseModel),
            autoencoder: configuration.pictures.vae.map { URL(fileURLWithPath: $0) },
            prediction: configuration.pictures.prediction.flatMap { Prediction(rawValue: $0.rawValue) })
    }

    /// The side of the squares that are trained on: the configuration's, or the base's own.
    func resolution(_ configuration: Configuration) -> Int {
        configuration.pictures.resolutionPixels ?? unet.config.sampleSize * autoencoder.config.pixelsPerLatent
    }

    /// What a report says of the model.
    func facts(_ model: UNet2DConditionModel, files: [FileFact]) -> BaseFacts {
        let types = unet.elementTypes.sorted { ($1.value, $0.key.name) < ($0.value, $1.key.name) }.map(\.key.name)
        return BaseFacts(
            name: url.deletingPathExtension().lastPathComponent, architecture: "\(kind)",
            parameters: model.slots().reduce(0) { $0 + $1.slot.shape.reduce(1, *) },
            storage: types.joined(separator: " + "), files: files)
    }
}

extension PictureAdapters {
    enum Part: String { case unet, textEncoder = "text_encoder" }

    /// Everything of one network that is trained, with the network's name before each.
    func parameters(of part: Part) -> [(key: String, value: Tensor)] {
        let set = part == .unet ? unet : textEncoder
        return (set?.parameters ?? []).map { ("\(part.rawValue).\($0.key)", $0.value) }
    }

    private var sets: [LoRASet] { [unet, textEncoder].compactMap { $0 } }

    /// What a report says of the adapters.
    var facts: AdapterFacts {
        AdapterFacts(
            modules: sets.reduce(into: [:]) { $0.merge($1.matches) { $0 + $1 } },
            parameters: sets.reduce(0) { $0 + $1.parameterCount }, scale: sets.first?.config.scale ?? 1)
    }

    /// What programs would not read of them.
    var warnings: [String] {
        let paths = Set(textEncoder?.entries.map(\.path) ?? [])
        let hasAttention = paths.contains { $0.contains(".self_attn.") }
        guard hasAttention, !paths.contains(where: { $0.hasSuffix(".out_proj") }) else { return [] }
        return ["diffusers reads a text encoder's attention only with out_proj; better: [self_attn, mlp]"]
    }

    /// Draws new dropout masks; the same for the same step and micro-batch.
    func drawDropout(seed: Int, step: Int, microBatch: Int) {
        for set in sets { set.drawDropout(seed: seed, step: step, microBatch: microBatch) }
    }

    /// Runs `body` without dropout.
    func withoutDropout<R>(_ body: () throws -> R) rethrows -> R {
        guard let textEncoder else { return try unet?.withoutDropout(body) ?? body() }
        return try textEncoder.withoutDropout { try unet?.withoutDropout(body) ?? body() }
    }
}
