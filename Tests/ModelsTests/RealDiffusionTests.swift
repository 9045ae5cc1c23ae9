// Stable Diffusion 1.5's real size. Runs only where scripts/parity/sd15.sh names the folder with diffusers' results.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Torch

@testable import Models

private let variable = ProcessInfo.processInfo.environment["LORA_PARITY_SD15"]

@Suite("Stable Diffusion 1.5's size equals diffusers", .enabled(if: variable != nil), .serialized)
struct RealDiffusionTests {
    private let folder = URL(fileURLWithPath: variable ?? "", isDirectory: true)
    private let placement = Placement(.cpu, .float32)

    private func part(_ name: String) -> URL { folder.appendingPathComponent("model/\(name)") }

    private func expected() throws -> SafetensorsFile {
        try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
    }

    private func tensor(_ name: String) throws -> Tensor {
        let stored = try expected().tensor(name)
        return try Tensor(stored.floats(), stored.shape)
    }

    /// Within 1e-4 of the largest value; says how near.
    private func compare(_ name: String, _ actual: Tensor, _ started: ContinuousClock.Instant) throws {
        let seconds = (ContinuousClock.now - started) / .seconds(1)
        let stored = try expected().tensor(name)
        let away = try Distance.largest(actual.array(), stored.floats())
        let peak = Accelerator.memory(of: .cpu).peak / 1_048_576
        print(
            "\(name) \(actual.shape): off by \(away) of the largest value at most;",
            "\((seconds * 10).rounded() / 10) seconds; \(peak) MiB so far")
        try expectNear(actual, stored, within: 1e-4)
    }

    @Test("states of a text")
    func text() throws {
        let encoder = try CLIPTextModel.load(part("text_encoder"), on: placement)
        let tokens = try expected().tensor("tokens").floats().map { Int($0) }
        let started = ContinuousClock.now
        try compare("text", withoutGradients { try encoder([tokens]) }, started)
    }

    @Test("predictions for 64 x 64 and for a part whose sides do not halve evenly")
    func unet() throws {
        let unet = try UNet2DConditionModel.load(part("unet"), on: placement)
        let (x, text) = (try tensor("x"), try tensor("text"))
        try withoutGradients {
            for (name, x) in [("y", x), ("y.odd", try x.narrow(2, 0, 25).narrow(3, 0, 39))] {
                let started = ContinuousClock.now
                try compare(name, unet(x, timesteps: [601], context: text), started)
            }
        }
    }

    @Test("the same from single files", arguments: ["single.safetensors", "single.ckpt"])
    func single(name: String) throws {
        let opened = ContinuousClock.now
        let base = try PictureBase(folder.appendingPathComponent(name))
        let milliseconds = (ContinuousClock.now - opened) / .milliseconds(1)
        print("\(name): \(base.kind), \(base.byteCount) bytes, known after \(Int(milliseconds)) ms")
        try withoutGradients {
            let tokens = try expected().tensor("tokens").floats().map { Int($0) }
            var started = ContinuousClock.now
            try compare("text", base.loadTextEncoder(on: placement)([tokens]), started)
            started = .now
            try compare("mean", base.loadAutoencoder(on: placement).encode(tensor("pictures")).mean, started)
            started = .now
            try compare(
                "y", base.loadUNet(on: placement)(tensor("x"), timesteps: [601], context: tensor("text")), started)
        }
    }

    @Test("moments of a picture of 256 x 256, and a picture of them")
    func autoencoder() throws {
        let autoencoder = try AutoencoderKL.load(part("vae"), on: placement)
        try withoutGradients {
            var started = ContinuousClock.now
            let moments = try autoencoder.encode(tensor("pictures"))
            try compare("mean", moments.mean, started)
            try compare("deviation", moments.deviation, started)
            started = .now
            try compare("decoded", autoencoder.decode(tensor("mean")), started)
        }
    }
}
