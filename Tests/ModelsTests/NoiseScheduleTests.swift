// The noise of the training's steps is diffusers', number by number; see scripts/goldens/noise_schedule.py.

import Formats
import Foundation
import TestSupport
import Testing
import Torch

@testable import Models

@Suite("A noise schedule")
struct NoiseScheduleTests {
    /// A schedule of the golden file.
    struct Kind: Sendable, CustomTestStringConvertible {
        let betas: BetaSchedule
        let isZero: Bool
        var testDescription: String { isZero ? "\(betas.rawValue).zero" : betas.rawValue }

        static let all = BetaSchedule.allCases.flatMap {
            [Kind(betas: $0, isZero: false), Kind(betas: $0, isZero: true)]
        }

        func schedule(_ prediction: Prediction = .epsilon) -> NoiseSchedule {
            var config = NoiseScheduleConfig()
            config.betaSchedule = betas
            if betas == .linear { (config.betaStart, config.betaEnd) = (0.0001, 0.02) }
            config.rescalesToZeroSNR = isZero
            config.prediction = prediction
            return NoiseSchedule(config)
        }
    }

    private let golden: SafetensorsFile
    private let timesteps: [Int]

    init() throws {
        golden = try SafetensorsFile(goldens.appendingPathComponent("noise-schedule.safetensors"))
        timesteps = try golden.integers("timesteps")
    }

    @Test("keeps the reference's share of the latent at every step", arguments: Kind.all)
    func alphas(_ kind: Kind) throws {
        let alphas = kind.schedule().alphasCumprod
        let expected = try golden.tensor("\(kind.testDescription).alphas_cumprod").floats()
        // Stretching takes a difference, whose rounding counts where little is left.
        let atol: Float = kind.isZero ? 3e-7 : 0
        expectClose(actual: alphas, expected: expected, atol: atol, rtol: 5e-7)
        #expect((alphas.last == 0) == kind.isZero)
    }

    @Test("puts the reference's noise on a latent, and knows its velocity", arguments: Kind.all)
    func noise(_ kind: Kind) throws {
        let (latent, noise) = (try tensor("latent"), try tensor("noise"))
        let name = kind.testDescription
        let schedule = kind.schedule(.velocity)
        let noisy = try schedule.addNoise(noise, to: latent, at: timesteps)
        try golden.expect(noisy, "\(name).noisy", atol: 1e-6, rtol: 1e-6)
        let velocity = try schedule.target(of: latent, noise: noise, at: timesteps)
        try golden.expect(velocity, "\(name).velocity", atol: 1e-6, rtol: 1e-6)
        let one = try schedule.addNoise(noise.narrow(0, 3, 1), to: latent.narrow(0, 3, 1), at: [timesteps[3]])
        expectClose(actual: try one.array(), expected: try noisy.narrow(0, 3, 1).array(), atol: 0, rtol: 0)
    }

    @Test("asks the model for what it predicts")
    func targets() throws {
        let (latent, noise) = (try tensor("latent"), try tensor("noise"))
        let kind = Kind(betas: .scaledLinear, isZero: false)
        #expect(try kind.schedule(.epsilon).target(of: latent, noise: noise, at: timesteps) === noise)
        #expect(try kind.schedule(.sample).target(of: latent, noise: noise, at: timesteps) === latent)
    }

    @Test("weighs steps by min-SNR-γ as the reference does", arguments: Kind.all)
    func weights(_ kind: Kind) throws {
        let name = kind.testDescription
        if !kind.isZero {
            let snr = timesteps.map { Float(kind.schedule().snr($0)) }
            expectClose(actual: snr, expected: try golden.tensor("\(name).snr").floats(), atol: 1e-7, rtol: 3e-6)
        }
        for prediction in [Prediction.epsilon, .velocity] {
            let schedule = kind.schedule(prediction)
            for gamma in [1, 5, 20] {
                let weights = timesteps.map { Float(schedule.minSNRWeight($0, gamma: Double(gamma))) }
                let expected = try golden.tensor("\(name).weight.\(prediction.rawValue).\(gamma)").floats()
                expectClose(actual: weights, expected: expected, atol: 1e-7, rtol: 3e-6, "\(prediction) \(gamma)")
            }
        }
        let snr = kind.schedule(.sample).snr(500)
        #expect(kind.schedule(.sample).minSNRWeight(500, gamma: 0.01) == min(snr, 0.01))
    }

    private func tensor(_ name: String) throws -> Tensor {
        let stored = try golden.tensor(name)
        return try Tensor(try stored.floats(), stored.shape)
    }
}

@Suite("A scheduler's configuration")
struct NoiseScheduleConfigTests {
    private func config(_ json: String) throws -> NoiseScheduleConfig {
        try withTemporaryFolder { folder in
            let scheduler = folder.appendingPathComponent("scheduler")
            try FileManager.default.createDirectory(at: scheduler, withIntermediateDirectories: true)
            try Data(json.utf8).write(to: scheduler.appendingPathComponent("scheduler_config.json"))
            return try NoiseScheduleConfig(folder: folder)
        }
    }

    private func problem(_ json: String) -> String {
        do {
            return "\(try config(json))"
        } catch {
            return "\(error)".components(separatedBy: "scheduler/").last ?? ""
        }
    }

    @Test("is read from Stable Diffusion's files")
    func reads() throws {
        let first = try config(
            #"""
            {"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
             "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
             "trained_betas": null, "clip_sample": false}
            """#)
        var expected = NoiseScheduleConfig()
        (expected.stepsOffset, expected.setsAlphaToOne) = (1, false)
        #expect(first == expected)
        let second = try config(
            #"{"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": true}"#)
        #expect(second.prediction == .velocity && second.timestepSpacing == .trailing && second.rescalesToZeroSNR)
        #expect(second.betaSchedule == .linear && second.betaStart == 0.0001 && second.betaEnd == 0.02)
        let trained = try config(#"{"trained_betas": [0.1, 0.2, 0.5]}"#)
        #expect(trained.trainTimesteps == 3)
        let alphas = NoiseSchedule(trained).alphasCumprod
        expectClose(actual: alphas, expected: [0.9, 0.72, 0.36], atol: 0, rtol: 1e-6)
    }

    @Test("is refused in one line when it cannot be used")
    func refuses() {
        let file = "scheduler_config.json: "
        #expect(problem("{") == "\(file)not valid JSON; fetch the file again")
        #expect(
            problem(#"{"beta_schedule": "laplace"}"#)
                == "\(file)'beta_schedule' is 'laplace'; lora reads 'linear', 'scaled_linear', 'squaredcos_cap_v2'")
        #expect(
            problem(#"{"prediction_type": "flow"}"#)
                == "\(file)'prediction_type' is 'flow'; lora reads 'epsilon', 'v_prediction', 'sample'")
        #expect(problem(#"{"timestep_spacing": "x"}"#).hasSuffix("reads 'leading', 'trailing', 'linspace'"))
        #expect(
            problem(#"{"num_train_timesteps": 1}"#)
                == "\(file)'num_train_timesteps' is 1, expected 2 to 100000; fetch the file again")
        #expect(problem(#"{"num_train_timesteps": "x"}"#).contains("'num_train_timesteps' is not a whole number"))
        #expect(problem(#"{"steps_offset": 1000}"#).contains("'steps_offset' is 1000, expected 0 to 999"))
        #expect(problem(#"{"beta_end": 1.5}"#).contains("'beta_end' is 1.5, expected a number between 0 and 1"))
        #expect(problem(#"{"trained_betas": [0.1, 2]}"#).contains("'trained_betas' is 2.0, expected numbers"))
        #expect(problem(#"{"trained_betas": []}"#).contains("'num_train_timesteps' is 0"))
        #expect(
            problem(#"{"clip_sample": true}"#)
                == "\(file)'clip_sample' is true, which is for models of pixels; lora reads models of latents")
        let message = Result { try NoiseScheduleConfig(folder: URL(fileURLWithPath: "/nowhere")) }
        #expect(
            "\(message)".contains(
                "/nowhere/scheduler/scheduler_config.json: cannot be read; a diffusers folder has this file"))
    }
}
