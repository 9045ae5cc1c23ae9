// Tables for rotary position embedding, with the scalings that long contexts use.
//
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py

import Foundation
import Torch

/// How the frequencies of a rotary embedding are stretched for contexts longer than those of pre-training.
public enum RotaryScaling: Sendable, Equatable {
    case none
    /// Positions divided by a factor (Chen et al., arXiv:2306.15595).
    case linear(factor: Double)
    /// LLaMA 3.1's: low frequencies divided by a factor, high ones kept, a smooth passage between.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Int)
    /// A divisor for each frequency, as GGUF files carry them.
    case divisors([Double])
}

/// Cosines and sines of every position, made when first asked for.
public final class RotaryEmbedding {
    private let frequencies: [Double]
    private let placement: Placement
    private var tables: (cosines: Tensor, sines: Tensor, count: Int)?

    public init(headSize: Int, base: Double, scaling: RotaryScaling, on placement: Placement) {
        // Rounded to fp32 where the reference rounds: one unit in the last place, times a position, would be seen.
        let plain = stride(from: 0, to: headSize, by: 2).map { place in
            Double(1 / Float(pow(base, Double(Float(place) / Float(headSize)))))
        }
        frequencies = Self.scaled(plain, scaling)
        self.placement = placement
    }

    static func scaled(_ frequencies: [Double], _ scaling: RotaryScaling) -> [Double] {
        switch scaling {
        case .none: return frequencies
        case .linear(let factor): return frequencies.map { $0 / factor }
        case .divisors(let divisors): return zip(frequencies, divisors).map { $0 / $1 }
        case .llama3(let factor, let low, let high, let length):
            return frequencies.map { frequency in
                let turns = Double(length) * frequency / (2 * .pi)  // over the original context
                if turns < low { return frequency / factor }
                if turns > high { return frequency }
                let smooth = (turns - low) / (high - low)
                return (1 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }

    /// Tables (places, D / 2) that reach at least to `count` positions.
    public func tables(_ count: Int) throws -> (cosines: Tensor, sines: Tensor) {
        if let tables, tables.count >= count { return (tables.cosines, tables.sines) }
        let places = max(256, count + count / 2)
        let angles = (0..<places).flatMap { place in frequencies.map { Float(place) * Float($0) } }
        let shape = [places, frequencies.count]
        let cosines = try Tensor(angles.map { Float(Foundation.cos(Double($0))) }, shape).to(placement.device)
        let sines = try Tensor(angles.map { Float(Foundation.sin(Double($0))) }, shape).to(placement.device)
        tables = (cosines, sines, places)
        return (cosines, sines)
    }
}
