// Training Stable Diffusion on pictures: gradients of a step, validation, pictures to look at.

import Datasets
import Foundation
import LoRA
import Models
import NN
import Runs
import Torch
import Training

/// Picture training as the trainer sees it.
final class PictureTask: TrainingTask {
    private let unet: UNet2DConditionModel
    private let adapters: PictureAdapters
    private let text: PictureText
    private let data: PictureData
    private let latents: PictureLatents
    private let schedule: NoiseSchedule
    private let configuration: Configuration
    private let studio: PictureStudio
    private let exports: PictureExports
    private var order: EpochOrder<PictureUse>

    init(_ parts: Parts) {
        (unet, adapters, text) = (parts.unet, parts.adapters, parts.text)
        (data, latents, schedule) = (parts.data, parts.latents, parts.schedule)
        (configuration, studio, exports) = (parts.configuration, parts.studio, parts.exports)
        order = EpochOrder(stepsPerEpoch: data.plan.stepsPerEpoch, plan: data.plan.steps(epoch:))
    }

    /// What a task is made of.
    struct Parts {
        let unet: UNet2DConditionModel
        let adapters: PictureAdapters
        let text: PictureText
        let data: PictureData
        let latents: PictureLatents
        let schedule: NoiseSchedule
        let configuration: Configuration
        let studio: PictureStudio
        let exports: PictureExports
    }

    // MARK: - Gradients

    func computeGradients(step: Int, scale: Double) throws -> StepMeasure {
        let microBatches = order.microBatches(ofStep: step)
        let count = microBatches.reduce(0) { $0 + $1.count }
        var (loss, place) = (0.0, 0)
        for (index, uses) in microBatches.enumerated() {
            adapters.drawDropout(seed: configuration.run.seed, step: step, microBatch: index)
            // Drawn by the place in the step, so that N micro-batches of one picture equal one of N.
            let draws = uses.indices.map { PictureDraw(seed: configuration.run.seed, "\(step).\(place + $0)") }
            place += uses.count
            loss += try addGradients(of: uses, draws, dividedBy: count, scale: scale)
        }
        return StepMeasure(loss: loss, images: count)
    }

    private func addGradients(
        of uses: [PictureUse], _ draws: [PictureDraw], dividedBy count: Int, scale: Double
    ) throws -> Double {
        let captions = uses.map { data.samples[$0.sample].caption(draw: $0.draw) }
        let states = try text.states(captions, on: unet.placement.device)
        let forms = uses.map { PictureForm(sample: data.samples[$0.sample], isFlipped: $0.isFlipped) }
        return try unet.addGradients(
            of: batch(forms, draws, context: states), schedule: schedule,
            minSNRGamma: configuration.pictures.minSNRGamma, factor: 1 / Double(count), scale: scale)
    }

    private func batch(_ forms: [PictureForm], _ draws: [PictureDraw], context: Tensor) throws -> DenoisingBatch {
        let device = unet.placement.device
        let stored = try forms.map(latents.load)
        let shape = [forms.count] + (stored.first?.shape ?? [])
        var drawn: (latents: [Float], noise: [Float], mask: [Float]) = ([], [], [])
        for (picture, draw) in zip(stored, draws) {
            var draw = draw
            drawn.latents += picture.draw(draw.stream.normals(picture.count))
            drawn.noise += draw.noise(picture.shape, offset: configuration.pictures.noiseOffset)
            drawn.mask += picture.mask ?? Array(repeating: 1, count: picture.shape[1] * picture.shape[2])
        }
        var batch = DenoisingBatch(
            latents: try Tensor(drawn.latents, shape).to(device), noise: try Tensor(drawn.noise, shape).to(device),
            timesteps: draws.map { $0.timestep(of: schedule.config.trainTimesteps) }, context: context,
            weights: forms.map(\.sample.lossWeight))
        if stored.contains(where: { $0.mask != nil }) {
            batch.mask = try Tensor(drawn.mask, [shape[0], 1, shape[2], shape[3]]).to(device)
        }
        return batch
    }

    func samples(ofStep step: Int) -> [String] {
        order.microBatches(ofStep: step).flatMap { $0 }.map { data.samples[$0.sample].url.relativePath }
    }

    // MARK: - Looking at it

    /// At four levels of noise for each picture, the same ones and with the same noise every time.
    func validationLoss() throws -> Double? {
        guard !data.validation.isEmpty else { return nil }
        return try adapters.withoutDropout {
            let levels = 4
            var sum = 0.0
            for (place, index) in data.validation.enumerated() {
                let form = PictureForm(sample: data.samples[index], isFlipped: false)
                let context = try withoutGradients {
                    try text.states([form.sample.caption], on: unet.placement.device)
                }
                for level in 0..<levels {
                    var batch = try batch(
                        [form], [PictureDraw(seed: configuration.run.seed, "validation.\(place).\(level)")],
                        context: context)
                    batch.timesteps = [(2 * level + 1) * schedule.config.trainTimesteps / (2 * levels)]
                    sum += try unet.loss(batch, schedule: schedule).item() / Double(levels)
                }
            }
            return sum / Double(data.validation.count)
        }
    }

    /// One picture of all: a row for each prompt, a column for each strength. There is none before the first step,
    /// since strength 0 is the base model.
    func makeSamples(step: Int) throws -> [SampleResult]? {
        guard step > 0, !configuration.samples.prompts.isEmpty else { return [] }
        do {
            return try adapters.withoutDropout {
                [SampleResult(prompt: "", path: try studio.makeGrid(step: step, unet, text, adapters, schedule))]
            }
        } catch is Interrupted {
            return nil
        }
    }

    // MARK: - Files

    func writeAdapter(to folder: String) throws {
        try exports.writeCheckpoint(adapters, to: URL(fileURLWithPath: folder, isDirectory: true))
    }

    func writeExports(to folder: URL) throws -> [URL] { try exports.write(adapters, to: folder) }
}

/// What is drawn for one use of a picture.
struct PictureDraw {
    private let time: Float
    var stream: RandomStream

    init(seed: Int, _ purpose: String) {
        stream = RandomStream(seed: seed, purpose: "noise.\(purpose)")
        var times = RandomStream(seed: seed, purpose: "timestep.\(purpose)")
        time = times.uniform()
    }

    /// Any step of the training, all alike.
    func timestep(of count: Int) -> Int { min(count - 1, Int(time * Float(count))) }

    /// Normal noise for a latent of `shape` (C, H, W), with an offset for each channel.
    mutating func noise(_ shape: [Int], offset: Double) -> [Float] {
        var noise = stream.normals(shape.reduce(1, *))
        guard offset > 0 else { return noise }
        let plane = shape[1] * shape[2]
        for (channel, shift) in stream.normals(shape[0]).enumerated() {
            for place in channel * plane..<(channel + 1) * plane { noise[place] += Float(offset) * shift }
        }
        return noise
    }
}
