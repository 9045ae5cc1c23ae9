// How much noise lies on a latent at each step of the training.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_ddim.py (the schedule
// and the noise), and of `apply_snr_weight` of https://github.com/kohya-ss/sd-scripts (min-SNR-γ).
//
// B samples; x a latent of any shape (B, …), t a step of the training, ᾱ the cumulative product of 1 − β.

import Foundation
import Torch

/// The noise of each of the training's steps.
public struct NoiseSchedule: Sendable {
    /// What the schedule was computed from.
    public let config: NoiseScheduleConfig
    /// ᾱ of each step: the share of the latent's variance that is left.
    public let alphasCumprod: [Float]

    /// Computes the schedule; without `config`, Stable Diffusion 1's.
    public init(_ config: NoiseScheduleConfig = NoiseScheduleConfig()) {
        self.config = config
        let betas = Self.betas(config)
        let products = Self.cumulativeProduct(betas)
        alphasCumprod = config.rescalesToZeroSNR ? Self.cumulativeProduct(Self.rescaled(products)) : products
    }

    /// ᾱ at step `t`.
    func alpha(_ t: Int) -> Double { Double(alphasCumprod[t]) }

    // MARK: - The schedule

    // In single precision where the reference is, so that every model sees the noise it was trained with.

    private static func betas(_ config: NoiseScheduleConfig) -> [Float] {
        if let betas = config.trainedBetas { return betas.map { Float($0) } }
        let count = config.trainTimesteps
        switch config.betaSchedule {
        case .linear:
            return line(config.betaStart, config.betaEnd, count)
        case .scaledLinear:
            return line(config.betaStart.squareRoot(), config.betaEnd.squareRoot(), count).map { $0 * $0 }
        case .cosine:
            func alpha(_ t: Double) -> Double {
                let cosine = cos((t + 0.008) / 1.008 * .pi / 2)
                return cosine * cosine
            }
            return (0..<count).map { step in
                let (now, next) = (Double(step) / Double(count), Double(step + 1) / Double(count))
                return Float(min(1 - alpha(next) / alpha(now), 0.999))
            }
        }
    }

    /// Numbers at equal distances, counted from the nearer end, as libtorch does.
    private static func line(_ first: Double, _ last: Double, _ count: Int) -> [Float] {
        let (first, last) = (Float(first), Float(last))
        let step = (last - first) / Float(count - 1)
        return (0..<count).map { index in
            index < count / 2 ? first + step * Float(index) : last - step * Float(count - 1 - index)
        }
    }

    private static func cumulativeProduct(_ betas: [Float]) -> [Float] {
        var product = 1.0
        return betas.map { beta in
            product *= Double(1 - beta)
            return Float(product)
        }
    }

    /// The β of a schedule that ends in pure noise and starts as before (algorithm 1 of arXiv:2305.08891).
    private static func rescaled(_ products: [Float]) -> [Float] {
        var roots = products.map { $0.squareRoot() }
        let (first, last) = (roots[0], roots[roots.count - 1])
        let stretch = first / (first - last)
        roots = roots.map { ($0 - last) * stretch }
        let squares = roots.map { $0 * $0 }
        return [1 - squares[0]] + zip(squares.dropFirst(), squares).map { 1 - $0 / $1 }
    }

    // MARK: - Noise

    /// √ᾱ x + √(1 − ᾱ) ε: the latent with the noise of step t, one t for each sample.
    public func addNoise(_ noise: Tensor, to x: Tensor, at timesteps: [Int]) throws -> Tensor {
        let (signal, share) = try coefficients(timesteps, like: x)
        return try x * signal + noise * share
    }

    /// √ᾱ ε − √(1 − ᾱ) x: the velocity at step t, one t for each sample.
    public func velocity(of x: Tensor, noise: Tensor, at timesteps: [Int]) throws -> Tensor {
        let (signal, share) = try coefficients(timesteps, like: x)
        return try noise * signal - x * share
    }

    /// What the model should answer at step t.
    public func target(of x: Tensor, noise: Tensor, at timesteps: [Int]) throws -> Tensor {
        switch config.prediction {
        case .epsilon: noise
        case .velocity: try velocity(of: x, noise: noise, at: timesteps)
        case .sample: x
        }
    }

    private func coefficients(_ timesteps: [Int], like x: Tensor) throws -> (signal: Tensor, noise: Tensor) {
        precondition(timesteps.count == x.shape.first, "\(timesteps.count) timesteps for a latent of shape \(x.shape)")
        let shape = [timesteps.count] + x.shape.dropFirst().map { _ in 1 }  // (B, 1, …)
        func tensor(_ value: (Double) -> Double) throws -> Tensor {
            try Tensor(timesteps.map { Float(value(alpha($0)).squareRoot()) }, shape).to(x.dtype).to(x.device)
        }
        return (try tensor { $0 }, try tensor { 1 - $0 })
    }

    // MARK: - Weights

    /// The ratio of signal to noise at step `t`: ᾱ / (1 − ᾱ).
    public func snr(_ t: Int) -> Double { alpha(t) / (1 - alpha(t)) }

    /// The weight of step `t`'s loss with min-SNR-γ (Hang et al., arXiv:2303.09556, table of section 3.4).
    ///
    /// min(SNR, γ) divided by what the loss of each prediction already weighs: SNR for the noise, SNR + 1 for the
    /// velocity, 1 for the latent.
    public func minSNRWeight(_ t: Int, gamma: Double) -> Double {
        let snr = snr(t)
        switch config.prediction {
        // Not min(SNR, γ) / SNR, which is no number where the last step is pure noise.
        case .epsilon: return snr <= gamma ? 1 : gamma / snr
        case .velocity: return min(snr, gamma) / (snr + 1)
        case .sample: return min(snr, gamma)
        }
    }
}
