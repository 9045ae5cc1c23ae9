// Euler's method for the probability flow (algorithm 2 of Karras et al., arXiv:2206.00364, without churn).
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_euler_discrete.py

import Torch

/// Straight steps from one level of noise to the next.
public struct Euler: Sampler {
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
    public func modelInput(_ x: Tensor, at index: Int) throws -> Tensor { try path.modelInput(x, at: index) }

    public mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor {
        let derivative = try path.derivative(output.to(x.dtype), x, at: index, prediction)
        return try x + derivative * (path.sigmas[index + 1] - path.sigmas[index])
    }
}
