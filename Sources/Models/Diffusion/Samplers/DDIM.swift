// Denoising diffusion implicit models (Song et al., arXiv:2010.02502).
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_ddim.py

import Torch

/// Steps along the model's answer; with η = 0 without noise, with η = 1 as DDPM.
public struct DDIM: Sampler {
    public let timesteps: [Double]
    public let takesNoise: Bool

    private let schedule: NoiseSchedule
    private let ratio: Int
    private let finalAlpha: Double
    private let eta: Double

    /// A sampler of `steps` steps; `eta` is the share of fresh noise.
    public init(_ schedule: NoiseSchedule, steps: Int, eta: Double = 0) {
        let config = schedule.config
        self.schedule = schedule
        self.eta = eta
        takesNoise = eta > 0
        timesteps = (config.timestepSpacing ?? .leading).timesteps(steps, config).rounded
        ratio = config.trainTimesteps / steps
        finalAlpha = config.setsAlphaToOne ?? true ? 1 : schedule.alpha(0)
    }

    public mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor {
        let now = Int(timesteps[index])
        let alpha = schedule.alpha(now)
        let next = now >= ratio ? schedule.alpha(now - ratio) : finalAlpha
        let (latent, direction) = try schedule.config.prediction.parts(
            output.to(x.dtype), x, signal: alpha.squareRoot(), share: (1 - alpha).squareRoot())
        // Formulas (12) and (16).
        let variance = eta * eta * (1 - next) / (1 - alpha) * (1 - alpha / next)
        let moved = try latent * next.squareRoot() + direction * max(1 - next - variance, 0).squareRoot()
        guard takesNoise else { return moved }
        guard let noise else { preconditionFailure("DDIM with eta \(eta) takes noise") }
        return try moved + noise * variance.squareRoot()
    }
}
