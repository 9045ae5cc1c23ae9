// What all samplers have in common: ways from noise to a latent.

import Foundation
import Torch

/// A way from noise to a latent, one answer of the model at a time.
///
/// For index 0, 1 … of ``timesteps``: give the model ``modelInput(_:at:)`` and the timestep, then call ``step``. Latents
/// stay in `float32`; the model's answer is brought to it.
public protocol Sampler {
    /// What the model is told at each evaluation.
    var timesteps: [Double] { get }
    /// The standard deviation of the noise to start from.
    var initialScale: Double { get }
    /// Whether ``step(_:at:from:noise:)`` needs noise.
    var takesNoise: Bool { get }

    /// The latent as the model takes it at evaluation `index`.
    func modelInput(_ x: Tensor, at index: Int) throws -> Tensor

    /// The latent after evaluation `index`.
    ///
    /// - Parameters:
    ///   - output: The model's answer to ``modelInput(_:at:)``.
    ///   - x: The latent before the evaluation.
    ///   - noise: Normal noise of the latent's shape, where ``takesNoise``.
    mutating func step(_ output: Tensor, at index: Int, from x: Tensor, noise: Tensor?) throws -> Tensor
}

extension Sampler {
    public var initialScale: Double { 1 }
    public var takesNoise: Bool { false }
    public func modelInput(_ x: Tensor, at index: Int) throws -> Tensor { x }
}

/// The samplers by the names that configurations use.
public enum SamplerKind: String, Sendable, CaseIterable {
    case ddim, pndm, euler
    case eulerAncestral = "euler_a"
    case dpmSolver = "dpmpp_2m"
    case dpmSolverKarras = "dpmpp_2m_karras"

    /// A sampler of this kind that makes `steps` steps.
    public func sampler(_ schedule: NoiseSchedule, steps: Int) throws -> any Sampler {
        // A multistep solver needs one timestep more, and all of them different.
        let limit = schedule.config.trainTimesteps - (self == .dpmSolver || self == .dpmSolverKarras ? 1 : 0)
        guard (1...limit).contains(steps) else { throw SamplerError.steps(steps, limit: limit) }
        let divides = self == .pndm || (self == .ddim && schedule.config.prediction == .epsilon)
        if divides, schedule.alphasCumprod.last == 0 { throw SamplerError.pureNoise(self) }
        switch self {
        case .ddim: return DDIM(schedule, steps: steps)
        case .pndm: return PNDM(schedule, steps: steps)
        case .euler: return Euler(schedule, steps: steps)
        case .eulerAncestral: return EulerAncestral(schedule, steps: steps)
        case .dpmSolver: return DPMSolverMultistep(schedule, steps: steps)
        case .dpmSolverKarras: return DPMSolverMultistep(schedule, steps: steps, usesKarrasSigmas: true)
        }
    }
}

/// What a sampler cannot do.
public enum SamplerError: Error, CustomStringConvertible, Equatable {
    case steps(Int, limit: Int)
    case pureNoise(SamplerKind)

    public var description: String {
        switch self {
        case .steps(let steps, let limit):
            "\(steps) sampling steps, but the model's schedule has room for \(limit): choose 1 to \(limit)"
        case .pureNoise(let kind):
            "the sampler '\(kind.rawValue)' cannot start from pure noise, in which this schedule ends "
                + "(zero-terminal SNR); choose 'euler' or 'dpmpp_2m'"
        }
    }
}

// MARK: - Timesteps

extension TimestepSpacing {
    /// The timesteps of `steps` evaluations, the noisiest first, not rounded where they need not be.
    func timesteps(_ steps: Int, _ config: NoiseScheduleConfig) -> [Double] {
        let count = config.trainTimesteps
        switch self {
        case .leading:
            let ratio = count / steps
            // With an offset, the last one may lie behind the schedule's end.
            return (0..<steps).reversed().map { Double(min($0 * ratio + config.stepsOffset, count - 1)) }
        case .trailing:
            return Self.trailing(steps, count)
        case .linspace:
            guard steps > 1 else { return [0] }
            let step = Double(count - 1) / Double(steps - 1)
            return (0..<steps).reversed().map { $0 == steps - 1 ? Double(count - 1) : Double($0) * step }
        }
    }

    /// count, count − ratio … above 0, each less 1; as NumPy counts, which now and then makes one more.
    static func trailing(_ steps: Int, _ count: Int) -> [Double] {
        let ratio = Double(count) / Double(steps)
        let delta = (Double(count) - ratio) - Double(count)
        return (0..<Int((Double(count) / ratio).rounded(.up))).map { index in
            max((Double(count) + Double(index) * delta).rounded(.toNearestOrEven) - 1, 0)
        }
    }
}

extension Array where Element == Double {
    /// Rounded to whole numbers, halves to the even one.
    var rounded: [Double] { map { $0.rounded(.toNearestOrEven) } }
}

// MARK: - What the model's answer says

extension Prediction {
    /// The latent without noise, and the noise, of x = `signal` · latent + `share` · noise.
    func parts(_ output: Tensor, _ x: Tensor, signal: Double, share: Double) throws -> (latent: Tensor, noise: Tensor) {
        switch self {
        case .epsilon:
            return (try (x - output * share) * (1 / signal), output)
        case .velocity:
            return (try x * signal - output * share, try output * signal + x * share)
        case .sample:
            return (output, try (x - output * signal) * (1 / share))
        }
    }
}
