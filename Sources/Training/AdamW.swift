// AdamW over all parameters in one call.
// Loshchilov and Hutter, arXiv:1711.05101; libtorch's fused operator.

import Torch

/// Parameters that share a learning rate.
public struct ParameterGroup {
    /// By name; no name is in two groups.
    public let parameters: [(key: String, value: Tensor)]
    /// The highest of the schedule.
    public let learningRate: Double

    /// Makes a group; its order is that of the optimizer's state.
    public init(_ parameters: [(key: String, value: Tensor)], learningRate: Double) {
        (self.parameters, self.learningRate) = (parameters, learningRate)
    }
}

/// AdamW with decoupled weight decay. Its state is keyed by the parameters' names.
public final class AdamW {
    /// What is trained, and how fast.
    public let groups: [ParameterGroup]
    private let beta1, beta2, epsilon, weightDecay: Double
    private let first, second, steps: [Tensor]

    /// Everything that is trained, group after group.
    public var parameters: [(key: String, value: Tensor)] { groups.flatMap(\.parameters) }

    /// Moments start at zero; throws where they cannot be allocated.
    public init(
        _ groups: [ParameterGroup], betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8,
        weightDecay: Double = 0
    ) throws {
        self.groups = groups
        let parameters = groups.flatMap(\.parameters)
        (beta1, beta2) = betas
        (self.epsilon, self.weightDecay) = (epsilon, weightDecay)
        func zeros() throws -> [Tensor] { try parameters.map { try .zeros($0.value.shape, on: $0.value.device) } }
        (first, second) = (try zeros(), try zeros())
        steps = try parameters.map { try .zeros([], on: $0.value.device) }
    }

    /// One step with the gradients that the parameters hold, which are then forgotten.
    ///
    /// - Parameters:
    ///   - factor: what the schedule multiplies every group's learning rate by.
    ///   - count: optimizer steps done before this one.
    public func step(factor: Double, after count: Int) throws {
        try withoutGradients {
            for step in steps { try step.copy(from: .full([], Double(count + 1), on: step.device)) }
            var start = 0
            for group in groups {
                let range = start..<start + group.parameters.count
                start = range.upperBound
                let settings = AdamWSettings(
                    learningRate: group.learningRate * factor, beta1: beta1, beta2: beta2, weightDecay: weightDecay,
                    epsilon: epsilon)
                try fusedAdamW(
                    parameters: group.parameters.map(\.value),
                    gradients: group.parameters.map { try $0.value.gradient() },
                    moments: (Array(first[range]), Array(second[range])), steps: Array(steps[range]), settings)
            }
        }
        for parameter in parameters { try parameter.value.setGrad(nil) }
    }

    /// The moments by name, for a checkpoint.
    public var state: [(key: String, value: Tensor)] {
        zip(parameters, zip(first, second)).flatMap { parameter, moments in
            [("\(parameter.key).first", moments.0), ("\(parameter.key).second", moments.1)]
        }
    }
}

extension Tensor {
    /// The gradient, or zeros where nothing reached this tensor.
    func gradient() throws -> Tensor { try grad ?? .zeros(shape, on: device) }
}
