// Euler's method with fresh noise after each step, as k-diffusion has it.
// Port of
// https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_euler_ancestral_discrete.py

import Torch

/// Steps below the next level of noise, and noise up to it.
public struct EulerAncestral: Sampler {
    public let initialScale: Double

    private let path: SigmaPath
    private let prediction: Prediction

    /// A sampler of `steps` steps.
    public init(_ schedule: NoiseSchedule, steps: Int) {
        let spacing = schedule.config.timestepSpacing ?? .linspace
        path = SigmaPath(schedule, at: spacing.timesteps(steps, schedule.config).map { Double(Float($0)) })
        prediction = schedule.config.prediction
        initialScale = path.initialScale(spacing)
    }

    public var timesteps: [Double] { path.timesteps }
    public var takesNoise: Bool { true }
    public func modelInput(_ x: Tensor, at index: Int) throws -> Tensor { try path.modelInput(x, at: index) }

    public mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor {
        guard let noise else { preconditionFailure("the ancestral sampler takes noise") }
        let (from, to) = (path.sigmas[index], path.sigmas[index + 1])
        // The variance of a step of DDPM, and what is left of the level below it.
        let up = to * to * max(from * from - to * to, 0) / (from * from)
        let down = max(to * to - up, 0).squareRoot()
        let derivative = try path.derivative(output.to(x.dtype), x, at: index, prediction)
        return try x + derivative * (down - from) + noise * up.squareRoot()
    }
}
