// The pictures of a report: a grid of prompts and strengths, and each of them in its own file.

import Formats
import Foundation
import LoRA
import Models
import NN
import Reports
import Runs
import Torch

/// Makes a run's samples.
final class PictureStudio {
    private let configuration: Configuration
    private let layout: RunLayout
    private let size: SampleSize
    private let load: () throws -> AutoencoderKL
    /// The base model's pictures, by prompt: they never change.
    private var bases: [String: Picture] = [:]
    /// The picture of the highest strength, of the first prompt: the adapter's preview.
    private(set) var preview: Picture?

    /// - Parameter load: loads the autoencoder, which is forgotten after every grid.
    init(
        _ configuration: Configuration, _ layout: RunLayout, size: SampleSize,
        load: @escaping () throws -> AutoencoderKL
    ) {
        (self.configuration, self.layout, self.size, self.load) = (configuration, layout, size, load)
    }

    /// Makes the grid of a step and gives its path, relative to the run folder.
    func makeGrid(
        step: Int, _ unet: UNet2DConditionModel, _ text: PictureText, _ adapters: PictureAdapters,
        _ schedule: NoiseSchedule
    ) throws -> String {
        let options = configuration.pictureSamples, prompts = configuration.samples.prompts
        let painter = PicturePainter(
            unet: unet, autoencoder: try load(), text: text, schedule: schedule, options: DenoisingOptions(options))
        let name = "step-" + String(repeating: "0", count: max(0, 6 - "\(step)".count)) + "\(step)"
        try FileManager.default.createDirectory(
            at: layout.samples.appendingPathComponent(name), withIntermediateDirectories: true)
        defer { adapters.setStrength(unet: 1, textEncoder: 1) }
        var rows: [PictureGrid.Row] = []
        for (number, prompt) in prompts.enumerated() {
            let pictures = try options.strengths.map { strength in
                let picture = try paint(prompt, strength, adapters, painter)
                let file = "\(name)/\(number + 1)_strength_\(strength).png"
                try AtomicFile.write(picture.png(), to: layout.samples.appendingPathComponent(file))
                return picture
            }
            if number == 0 { preview = zip(options.strengths, pictures).max { $0.0 < $1.0 }?.1 }
            rows.append(.init(name: prompt, pictures: pictures))
        }
        let columns = options.strengths.map { strength in strength == 0 ? "base model" : "strength \(strength)" }
        try AtomicFile.write(
            PictureGrid(rows, columns: columns).png(), to: layout.samples.appendingPathComponent("\(name).png"))
        return "samples/\(name).png"
    }

    private func paint(
        _ prompt: String, _ strength: Double, _ adapters: PictureAdapters, _ painter: PicturePainter
    ) throws -> Picture {
        if strength == 0, let base = bases[prompt] { return base }
        adapters.setStrength(unet: strength, textEncoder: strength)
        let order = PictureOrder(
            prompt: prompt, negative: configuration.pictureSamples.negativePrompt, size: size,
            seed: configuration.pictureSamples.seed ?? configuration.run.seed)
        let picture = try painter.paint(order) { _ in try Interrupted.check() }
        if strength == 0 { bases[prompt] = picture }
        return picture
    }
}

extension DenoisingOptions {
    init(_ options: PictureSampleOptions) {
        self.init(
            sampler: SamplerKind(rawValue: options.sampler.rawValue) ?? .dpmSolver, steps: options.samplingSteps,
            guidance: options.guidance)
    }
}
