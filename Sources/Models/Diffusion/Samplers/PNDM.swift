// Pseudo numerical methods for diffusion models (Liu et al., arXiv:2202.09778), without Runge-Kutta steps: PLMS.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_pndm.py, with
// `skip_prk_steps`, as Stable Diffusion 1 is configured.

import Torch

/// A linear multistep method of fourth order; it evaluates the model once more than it makes steps.
public struct PNDM: Sampler {
    public let timesteps: [Double]

    private let schedule: NoiseSchedule
    private let ratio: Int
    private let finalAlpha: Double
    /// The model's last answers, the newest last.
    private var answers: [Tensor] = []
    private var start: Tensor?

    /// A sampler of `steps` steps.
    public init(_ schedule: NoiseSchedule, steps: Int) {
        let config = schedule.config
        self.schedule = schedule
        let visited = (config.timestepSpacing ?? .leading).timesteps(steps, config).rounded
        // The second one twice: the first step is made again with what was learnt after it.
        timesteps = Array(visited.prefix(2)) + visited.dropFirst()
        ratio = config.trainTimesteps / steps
        finalAlpha = config.setsAlphaToOne ?? false ? 1 : schedule.alpha(0)
    }

    public mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor {
        let output = try output.to(x.dtype)
        var (from, now) = (x, Int(timesteps[index]))
        var next = now - ratio
        if index == 0 { (answers, start) = ([], x) }
        if index == 1, let start {
            (from, next) = (start, now)
            now = min(now + ratio, schedule.alphasCumprod.count - 1)
        } else {
            answers = answers.suffix(3) + [output]
        }
        return try moved(from, now, next, try combined(output, isSecond: index == 1))
    }

    /// The direction of the step from the last answers (formula 12 and its starts of lower order).
    private func combined(_ output: Tensor, isSecond: Bool) throws -> Tensor {
        let e = Array(answers.reversed())
        switch e.count {
        case 1: return isSecond ? try (output + e[0]) * (1 / 2) : output
        case 2: return try (e[0] * 3 - e[1]) * (1 / 2)
        case 3: return try (e[0] * 23 - e[1] * 16 + e[2] * 5) * (1 / 12)
        default: return try (e[0] * 55 - e[1] * 59 + e[2] * 37 - e[3] * 9) * (1 / 24)
        }
    }

    /// Formula (11).
    private func moved(_ x: Tensor, _ now: Int, _ next: Int, _ output: Tensor) throws -> Tensor {
        let alpha = schedule.alpha(now)
        let target = next >= 0 ? schedule.alpha(next) : finalAlpha
        let (_, noise) = try schedule.config.prediction.parts(
            output, x, signal: alpha.squareRoot(), share: (1 - alpha).squareRoot())
        let divisor = alpha * (1 - target).squareRoot() + (alpha * (1 - alpha) * target).squareRoot()
        return try x * (target / alpha).squareRoot() - noise * ((target - alpha) / divisor)
    }
}
