// From noise to latents: a sampler, the UNet, and classifier-free guidance (Ho and Salimans, arXiv:2207.12598).
//
// B pictures, C channels of a latent, H height and W width of it, S tokens of text.

import Torch

/// How latents are made from noise.
public struct DenoisingOptions: Sendable {
    /// The way from noise to a latent.
    public var sampler: SamplerKind
    /// Evaluations of the sampler.
    public var steps: Int
    /// How far the prompt's answer is followed beyond the negative prompt's; 1: not at all.
    public var guidance: Double

    /// Makes options; 25 steps are enough for the default sampler.
    public init(sampler: SamplerKind = .dpmSolver, steps: Int = 25, guidance: Double = 7.5) {
        (self.sampler, self.steps, self.guidance) = (sampler, steps, guidance)
    }
}

extension UNet2DConditionModel {
    /// Latents (B, C, H, W) at the UNet's scale.
    ///
    /// - Parameters:
    ///   - noise: Normal, (B, C, H, W).
    ///   - prompts: The prompts' states (B, S, context).
    ///   - negatives: The negative prompts' states, of the same shape.
    ///   - draw: Normal noise like `noise` for the evaluation it is given, where the sampler takes some.
    ///   - progress: Hears of each evaluation, counted from 0, with the latents before it; what it throws ends the way.
    public func denoise(
        _ noise: Tensor, prompts: Tensor, negatives: Tensor, schedule: NoiseSchedule, _ options: DenoisingOptions,
        draw: (Int) throws -> Tensor, progress: (Int, Tensor) throws -> Void = { _, _ in }
    ) throws -> Tensor {
        var sampler = try options.sampler.sampler(schedule, steps: options.steps)
        let isGuided = options.guidance != 1
        let context = try (isGuided ? concatenated([negatives, prompts]) : prompts).to(placement.dtype)
        var x = try noise * sampler.initialScale
        for (index, time) in sampler.timesteps.enumerated() {
            try progress(index, x)
            let input = try sampler.modelInput(x, at: index).to(placement.dtype)
            let answer = try withoutGradients {
                let both = isGuided ? try concatenated([input, input]) : input
                let times = [Double](repeating: time, count: both.shape[0])
                return try self(both, timesteps: times, context: context).to(.float32)
            }
            let output = isGuided ? try Self.guided(answer, by: options.guidance) : answer
            x = try sampler.step(output, at: index, from: x, noise: sampler.takesNoise ? draw(index) : nil)
        }
        return x
    }

    /// The negative prompts' answer, and from there `guidance` times the way to the prompts'.
    private static func guided(_ answer: Tensor, by guidance: Double) throws -> Tensor {
        let half = answer.shape[0] / 2
        let (without, with) = (try answer.narrow(0, 0, half), try answer.narrow(0, half, half))
        return try without + (with - without) * guidance
    }
}
