// Every latent on the way from noise is diffusers', for every sampler; see scripts/goldens/samplers.py.

import Formats
import Foundation
import TestSupport
import Testing
import Torch

@testable import Models

/// A way of the golden file: sampler/prediction/spacing/steps, and `zero` for a schedule that ends in pure noise.
struct SamplerCase: Sendable, CustomTestStringConvertible {
    let testDescription: String

    static let file = goldens.appendingPathComponent("samplers.safetensors")
    static let all: [SamplerCase] = {
        let names = (try? SafetensorsFile(file).tensors.keys.filter { $0.hasSuffix("/scale") }) ?? []
        return names.sorted().map { SamplerCase(testDescription: String($0.dropLast(6))) }
    }()

    private var parts: [String] { testDescription.split(separator: "/").map(String.init) }

    func sampler() throws -> any Sampler {
        var config = NoiseScheduleConfig()
        config.stepsOffset = 1
        config.prediction = try #require(Prediction(rawValue: parts[1]))
        config.timestepSpacing = TimestepSpacing(rawValue: parts[2])
        config.rescalesToZeroSNR = parts.count > 4
        if parts[0] == "ddim" { config.setsAlphaToOne = false }
        let schedule = NoiseSchedule(config)
        let steps = try #require(Int(parts[3]))
        if parts[0] == "ddim_eta" { return DDIM(schedule, steps: steps, eta: 0.7) }
        return try #require(SamplerKind(rawValue: parts[0])).sampler(schedule, steps: steps)
    }
}

@Suite("Samplers match diffusers")
struct SamplerParityTests {
    private let golden: SafetensorsFile
    private let start, pattern, noises: Tensor

    init() throws {
        let golden = try SafetensorsFile(SamplerCase.file)
        func tensor(_ name: String) throws -> Tensor {
            let stored = try golden.tensor(name)
            return try Tensor(try stored.floats(), stored.shape)
        }
        (start, pattern, noises) = (try tensor("start"), try tensor("pattern"), try tensor("noises"))
        self.golden = golden
    }

    /// Every latent of a way, one behind the other, with the same formula for a model as the reference.
    private func way(_ sampler: any Sampler) throws -> [Float] {
        var sampler = sampler
        var x = try start * sampler.initialScale
        var all: [Float] = []
        for (index, t) in sampler.timesteps.enumerated() {
            let angle = try sampler.modelInput(x, at: index) * 0.3 + Tensor.full(x.shape, t / 1000)
            let answer = try angle.cos() * 0.8 + pattern
            let noise = try noises.narrow(0, min(index, 24), 1).view(1, 2, 2, 3)
            x = try sampler.step(answer, at: index, from: x, noise: sampler.takesNoise ? noise : nil)
            all += try x.array(Float.self)
        }
        return all
    }

    @Test("every latent of every way", arguments: SamplerCase.all)
    func everyLatent(_ way: SamplerCase) throws {
        let sampler = try way.sampler()
        let name = way.testDescription
        let timesteps = sampler.timesteps.map { Float($0) }
        #expect(timesteps == (try golden.tensor("\(name)/timesteps").floats()))
        let scale = try golden.tensor("\(name)/scale").floats()
        expectClose(actual: [Float(sampler.initialScale)], expected: scale, atol: 0, rtol: 2e-6)
        let expected = try golden.tensor(name).floats()
        // From σ = 4096 on, the last place of the noise is 5e-4, and what is left after the first step has that error.
        let atol: Float = scale[0] > 1000 ? 1e-3 : 1e-5
        let actual = try self.way(sampler)
        expectClose(actual: actual, expected: expected, atol: atol, rtol: 1e-5)
    }

    @Test("all samplers, predictions, spacings and numbers of steps are among them")
    func isComplete() {
        let names = Set(SamplerCase.all.map(\.testDescription))
        for kind in SamplerKind.allCases.map(\.rawValue) + ["ddim_eta"] {
            for prediction in ["epsilon", "v_prediction"] {
                let ways = ["leading/5", "leading/20", "leading/25", "trailing/5", "linspace/12"]
                for way in ways { #expect(names.contains("\(kind)/\(prediction)/\(way)")) }
            }
        }
        #expect(names.count { $0.hasSuffix("zero") } == 12)
    }

    @Test("a second way with the same sampler is the first again", arguments: SamplerKind.allCases)
    func startsAnew(_ kind: SamplerKind) throws {
        var sampler = try kind.sampler(NoiseSchedule(), steps: 6)
        func run() throws -> [Float] {
            var x = start
            for index in sampler.timesteps.indices {
                x = try sampler.step(x * 0.5 + pattern, at: index, from: x, noise: pattern)
            }
            return try x.array()
        }
        #expect(try run() == run())
    }
}

@Suite("A sampler")
struct SamplerTests {
    @Test("answers in the latent's type when the model computes in another", arguments: SamplerKind.allCases)
    func keepsPrecision(_ kind: SamplerKind) throws {
        var sampler = try kind.sampler(NoiseSchedule(), steps: 3)
        let x = try Tensor([1.5, -2, 0.25].map { Float($0) })
        for index in sampler.timesteps.indices {
            let next = try sampler.step(x.to(.bfloat16), at: index, from: x, noise: x)
            #expect(next.dtype == .float32)
        }
    }

    @Test("makes any number of steps that the schedule has room for", arguments: SamplerKind.allCases)
    func anyNumberOfSteps(_ kind: SamplerKind) throws {
        for spacing in TimestepSpacing.allCases {
            var config = NoiseScheduleConfig()
            (config.timestepSpacing, config.stepsOffset) = (spacing, 1)
            let schedule = NoiseSchedule(config)
            for steps in Array(1...60) + [333, 999] {
                var sampler = try kind.sampler(schedule, steps: steps)
                #expect(sampler.timesteps.count >= steps && sampler.timesteps.allSatisfy { (0...999).contains($0) })
                guard steps < 4 else { continue }
                var x = try Tensor([Float(1)])
                for index in sampler.timesteps.indices {
                    x = try sampler.step(x * 0.1, at: index, from: x, noise: x)
                }
                #expect(try x.item().isFinite)
            }
        }
    }

    @Test("refuses what it cannot do, with what to do instead")
    func refuses() {
        func problem(_ kind: SamplerKind, steps: Int = 5, _ change: (inout NoiseScheduleConfig) -> Void = { _ in })
            -> String
        {
            var config = NoiseScheduleConfig()
            change(&config)
            do {
                _ = try kind.sampler(NoiseSchedule(config), steps: steps)
                return "no error"
            } catch {
                return "\(error)"
            }
        }
        let room = "sampling steps, but the model's schedule has room for"
        #expect(problem(.ddim, steps: 0) == "0 \(room) 1000: choose 1 to 1000")
        #expect(problem(.euler, steps: 1001) == "1001 \(room) 1000: choose 1 to 1000")
        #expect(problem(.dpmSolver, steps: 1000) == "1000 \(room) 999: choose 1 to 999")
        let noise =
            "cannot start from pure noise, in which this schedule ends (zero-terminal SNR); "
            + "choose 'euler' or 'dpmpp_2m'"
        #expect(problem(.pndm) { $0.rescalesToZeroSNR = true } == "the sampler 'pndm' \(noise)")
        #expect(problem(.ddim) { $0.rescalesToZeroSNR = true } == "the sampler 'ddim' \(noise)")
        #expect(problem(.ddim) { ($0.rescalesToZeroSNR, $0.prediction) = (true, .velocity) } == "no error")
    }
}
