// DPM-Solver++ of second order with one evaluation a step, "2M" (algorithm 2 of Lu et al., arXiv:2211.01095).
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_dpmsolver_multistep.py
// with `dpmsolver++`, order 2, `midpoint` and a last step to no noise at all.

import Foundation
import Torch

/// Steps in the logarithm of signal to noise, corrected by the step before.
public struct DPMSolverMultistep: Sampler {
    private let path: SigmaPath
    private let prediction: Prediction
    /// The latent without noise that the model answered last.
    private var previous: Tensor?

    /// A sampler of `steps` steps, at equal timesteps or at Karras' levels of noise.
    public init(_ schedule: NoiseSchedule, steps: Int, usesKarrasSigmas: Bool = false) {
        prediction = schedule.config.prediction
        path =
            usesKarrasSigmas
            ? SigmaPath(karras: schedule, steps: steps)
            : SigmaPath(schedule, at: Self.timesteps(steps, schedule.config))
    }

    public var timesteps: [Double] { path.timesteps }

    /// One timestep more than there are steps, without the last; the step from there leads to no noise.
    private static func timesteps(_ steps: Int, _ config: NoiseScheduleConfig) -> [Double] {
        let spacing = config.timestepSpacing ?? .linspace
        if spacing == .trailing { return spacing.timesteps(steps, config).rounded }
        return spacing.timesteps(steps + 1, config).rounded.dropLast()
    }

    public mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor {
        let now = Level(sigma: path.sigmas[index])
        let next = Level(sigma: path.sigmas[index + 1])
        let (latent, _) = try prediction.parts(output.to(x.dtype), x, signal: now.signal, share: now.share)
        let before = index == 0 ? nil : previous
        previous = latent
        let h = next.lambda - now.lambda
        let weight = -next.signal * expm1(-h)
        var guess = latent
        if let before, index + 1 < timesteps.count {
            // The change since the last answer, carried on for half of this step.
            let last = now.lambda - Level(sigma: path.sigmas[index - 1]).lambda
            guess = try latent + (latent - before) * (h / last / 2)
        }
        return try x * (next.share / now.share) + guess * weight
    }

    /// A level of noise of a latent with variance 1.
    private struct Level {
        let signal, share, lambda: Double

        init(sigma: Double) {
            signal = 1 / (sigma * sigma + 1).squareRoot()
            share = sigma * signal
            lambda = -log(sigma)
        }
    }
}
