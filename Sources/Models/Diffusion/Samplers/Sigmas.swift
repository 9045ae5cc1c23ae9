// Noise as k-diffusion measures it: σ = √((1 − ᾱ) / ᾱ), the noise on a latent that keeps its size
// (Karras et al., arXiv:2206.00364).

import Foundation
import Torch

extension NoiseSchedule {
    /// σ of each of the training's steps.
    var sigmas: [Float] {
        var alphas = alphasCumprod
        // Pure noise would be infinite; the reference takes half precision's least number instead.
        if config.rescalesToZeroSNR { alphas[alphas.count - 1] = 0x1p-24 }
        return alphas.map { ((1 - $0) / $0).squareRoot() }
    }
}

/// The noise levels that a sampler visits, and 0 after them.
struct SigmaPath: Sendable {
    let timesteps: [Double]
    let sigmas: [Double]

    /// The levels at `timesteps`, between those of the training where need be.
    init(_ schedule: NoiseSchedule, at timesteps: [Double]) {
        let all = schedule.sigmas
        self.timesteps = timesteps
        sigmas =
            timesteps.map { t in
                let low = min(Int(t), all.count - 2)
                let (a, b) = (Double(all[low]), Double(all[low + 1]))
                return Double(Float(a + (b - a) * (t - Double(low))))
            } + [0]
    }

    /// `steps` levels at equal distances of σ^(1/7) between the most and the least noise (formula 5).
    init(karras schedule: NoiseSchedule, steps: Int) {
        let all = schedule.sigmas.map(Double.init)
        let logarithms = schedule.sigmas.map { Double(log($0)) }
        let rho = 7.0
        let (least, most) = (pow(all[0], 1 / rho), pow(all[all.count - 1], 1 / rho))
        let levels = (0..<steps).map { index in
            pow(most + Double(index) / Double(max(steps - 1, 1)) * (least - most), rho)
        }
        let places = levels.map { Self.place(of: log($0), in: logarithms) }
        timesteps = schedule.config.betaSchedule == .cosine ? places.map { $0.rounded(.down) } : places.rounded
        sigmas = levels.map { Double(Float($0)) } + [0]
    }

    /// Where `value` lies among rising `values`, between two of them where need be.
    private static func place(of value: Double, in values: [Double]) -> Double {
        let low = min(values.lastIndex { $0 <= value } ?? 0, values.count - 2)
        let weight = (values[low] - value) / (values[low] - values[low + 1])
        return Double(low) + min(max(weight, 0), 1)
    }

    /// The standard deviation to start from: with `leading` timesteps, the latent's own is added.
    func initialScale(_ spacing: TimestepSpacing) -> Double {
        let most = sigmas.max() ?? 0
        return spacing == .leading ? (most * most + 1).squareRoot() : most
    }

    /// The latent as the model was trained to see it.
    func modelInput(_ x: Tensor, at index: Int) throws -> Tensor {
        try x * (1 / (sigmas[index] * sigmas[index] + 1).squareRoot())
    }

    /// The direction dx/dσ at a level of noise: (x − latent) / σ.
    func derivative(_ output: Tensor, _ x: Tensor, at index: Int, _ prediction: Prediction) throws -> Tensor {
        let sigma = sigmas[index]
        switch prediction {
        case .epsilon: return output
        case .sample: return try (x - output) * (1 / sigma)
        case .velocity:
            let size = sigma * sigma + 1
            return try x * (sigma / size) + output * (1 / size.squareRoot())
        }
    }
}
