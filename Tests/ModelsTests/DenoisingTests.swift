// From noise to latents on the pocket model, guided: every evaluation of every sampler equals diffusers'.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Tokenizers
import Torch

@testable import Models

@Suite("From noise to pictures as diffusers does")
struct DenoisingTests {
    private let golden: SafetensorsFile
    private let parts: StableDiffusion
    private let base: PictureBase

    init() throws {
        golden = try SafetensorsFile(goldens.appendingPathComponent("denoising.safetensors"))
        base = try PictureBase(TinyDiffusion.model(.pocket))
        parts = try StableDiffusion.load(TinyDiffusion.model(.pocket), on: Placement(.cpu, .float32))
    }

    private func tensor(_ name: String) throws -> Tensor {
        let stored = try golden.tensor(name)
        return try Tensor(stored.floats(), stored.shape)
    }

    @Test("every latent on the way", arguments: SamplerKind.allCases)
    func trajectory(_ kind: SamplerKind) throws {
        let ids = try golden.tensor("ids").floats().map { Int($0) }
        #expect(try base.tokenizer().encode("emoji of owl, animal bird").ids == Array(ids[77...]))
        let states = try withoutGradients { try parts.textEncoder([Array(ids[..<77]), Array(ids[77...])]) }
        let draws = try tensor("draws")
        var way: [Tensor] = []
        let last = try parts.unet.denoise(
            tensor("noise"), prompts: states.narrow(0, 1, 1), negatives: states.narrow(0, 0, 1),
            schedule: NoiseSchedule(base.noise), DenoisingOptions(sampler: kind, steps: 8, guidance: 4),
            draw: { try draws.narrow(0, $0, 1).reshape(1, 4, 8, 8) }, progress: { way.append($1) })
        try expectNear(concatenated(way + [last]), golden.tensor(kind.rawValue), within: 3e-5)
    }

    @Test("guidance of 1 asks the prompt alone")
    func unguided() throws {
        let ids = try golden.tensor("ids").floats().map { Int($0) }
        let states = try withoutGradients { try parts.textEncoder([Array(ids[..<77]), Array(ids[77...])]) }
        func latents(_ negative: Int, _ guidance: Double) throws -> [Float] {
            try parts.unet.denoise(
                tensor("noise"), prompts: states.narrow(0, 1, 1), negatives: states.narrow(0, negative, 1),
                schedule: NoiseSchedule(base.noise), DenoisingOptions(sampler: .ddim, steps: 2, guidance: guidance),
                draw: { _ in try tensor("noise") }
            ).array()
        }
        #expect(try latents(0, 1) == latents(1, 1))
        #expect(try latents(0, 4) != latents(1, 4))
    }

    @Test("the picture of the last latents")
    func picture() throws {
        let latents = try tensor("ddim").narrow(0, 8, 1) * (1 / base.autoencoder.config.scalingFactor)
        try withoutGradients { try expectNear(parts.autoencoder.decode(latents), golden.tensor("picture")) }
    }
}
