// Picture adapters for diffusers to load. Runs only where scripts/parity/picture_adapters.sh names the folder to write.

import Formats
import Foundation
import LoRA
import NN
import TestSupport
import Testing
import Torch

@testable import Models

private let variable = ProcessInfo.processInfo.environment["LORA_PARITY_ADAPTERS"]

@Suite("Adapters and pictures for diffusers", .enabled(if: variable != nil), .serialized)
struct RealPictureAdapterTests {
    private let folder = URL(fileURLWithPath: variable ?? "", isDirectory: true)

    /// What a file holds, and how strong it is on UNet and text encoder.
    private static let cases: [(name: String, keys: PictureKeys, type: ElementType, strength: (Double, Double))] = [
        ("kohya-f16", .kohya, .f16, (1, 1)), ("kohya-bf16", .kohya, .bf16, (1, 1)), ("kohya-f32", .kohya, .f32, (1, 1)),
        ("kohya-weaker", .kohya, .f32, (0.6, 0.3)), ("diffusers-f32", .diffusers, .f32, (1, 1)),
        ("diffusers-f16", .diffusers, .f16, (1, 1)), ("diffusers-old-f32", .diffusersOld, .f32, (1, 1)),
        ("peft-f32", .peft, .f32, (1, 1)), ("none", .kohya, .f32, (0, 0)),
    ]

    @Test("an adapter on every layer is written in all keys, with a prediction and a picture of each file")
    func write() throws {
        let tiny = try TinyDiffusion(.pocket), parts = tiny.parts
        let adapters = PictureAdapters(
            unet: try random(parts.unet, scale: 0.03), textEncoder: try random(parts.textEncoder, scale: 0.05))
        var metadata = KohyaMetadata(outputName: "parity")
        metadata.pictures.folders = [.init(name: "1_é", captions: ["a, b"])]
        for (name, keys, type, strength) in Self.cases {
            let url = folder.appendingPathComponent("\(name).safetensors")
            try adapters.write(keys, as: type, metadata: keys == .kohya ? metadata.values : [:], to: url)
            let read = try PictureAdapters.read(url, for: parts.unet, parts.textEncoder, on: .cpu)
            read.setStrength(unet: strength.0, textEncoder: strength.1)
            read.attach()
            defer { read.detach() }
            let results = try withoutGradients { try computed(parts) }
            let entries = try results.map {
                SafetensorsWriter.Entry(name: $0.key, shape: $0.value.shape, floats: try $0.value.array())
            }
            try SafetensorsWriter.write(entries, to: folder.appendingPathComponent("\(name).ours.safetensors"))
        }
    }

    /// Rank 4 on every layer of a model, the factors random.
    private func random(_ model: Module, scale: Double) throws -> LoRASet {
        let config = LoRAConfig(rank: 4, alpha: 8, isRankStabilised: true, targets: ["all-linear"])
        let set = try LoRASet.inject(config, into: model, seed: 3, on: .cpu)
        set.detach()
        for (place, entry) in set.entries.enumerated() {
            let values = (0..<entry.adapter.b.count).map { index in
                Float(Double((index * 7919 + place * 104_729) % 2003 - 1001) / 1001 * scale)
            }
            try withoutGradients { try entry.adapter.b.copy(from: Tensor(values, entry.adapter.b.shape)) }
        }
        return set
    }

    /// The text's states, the noise predicted for them, and ten steps of DDIM with guidance 5.
    private func computed(_ parts: StableDiffusion) throws -> [String: Tensor] {
        let given = try SafetensorsFile(folder.appendingPathComponent("given.safetensors"))
        let tokens = try given.tensor("tokens").floats().map { Int($0) }
        let text = try parts.textEncoder([Array(tokens[..<77]), Array(tokens[77...])])
        var x = try Tensor(given.tensor("latents").floats(), [1, 4, 8, 8])
        let y = try parts.unet(x, timesteps: [500], context: text.narrow(0, 1, 1))
        var config = NoiseScheduleConfig()
        (config.stepsOffset, config.setsAlphaToOne) = (1, false)
        var sampler = DDIM(NoiseSchedule(config), steps: 10)
        for (index, time) in sampler.timesteps.enumerated() {
            let both = try parts.unet(concatenated([x, x], dim: 0), timesteps: [time, time], context: text)
            let (plain, told) = (try both.narrow(0, 0, 1), try both.narrow(0, 1, 1))
            x = try sampler.step(plain + (told - plain) * 5, at: index, from: x, noise: nil)
        }
        let picture = try parts.autoencoder.decode(x * (1 / parts.autoencoder.config.scalingFactor))
        return ["text": text, "y": y, "picture": try picture * 0.5 + Tensor.full(picture.shape, 0.5)]
    }
}
