// One call over all parameters at once, as optimizers need it.

/// What AdamW's fused operator is told at each step.
public struct AdamWSettings: Sendable {
    /// As in Loshchilov and Hutter, arXiv:1711.05101: η, β₁, β₂, λ (decoupled) and ε.
    public var learningRate, beta1, beta2, weightDecay, epsilon: Double

    /// Makes the settings of one step.
    public init(learningRate: Double, beta1: Double, beta2: Double, weightDecay: Double, epsilon: Double) {
        (self.learningRate, self.beta1, self.beta2) = (learningRate, beta1, beta2)
        (self.weightDecay, self.epsilon) = (weightDecay, epsilon)
    }
}

/// One AdamW step, in place, over `parameters` and their two moments; `steps` are counted up by one before the call.
public func fusedAdamW(
    parameters: [Tensor], gradients: [Tensor], moments: (first: [Tensor], second: [Tensor]), steps: [Tensor],
    _ settings: AdamWSettings
) throws {
    try aten.fusedAdamW.run(
        parameters, gradients, moments.first, moments.second, [Tensor](), steps,
        settings.learningRate, settings.beta1, settings.beta2, settings.weightDecay, settings.epsilon, false, false
    )
}

/// The norm of each tensor.
public func norms(_ tensors: [Tensor]) throws -> [Tensor] {
    try aten.foreachNorm.all(tensors, capacity: tensors.count)
}

/// Multiplies every tensor by `factor`, in place.
public func scale(_ tensors: [Tensor], by factor: Double) throws {
    try aten.foreachMul.run(tensors, factor)
}

extension aten {
    static let fusedAdamW = Operator(
        """
        _fused_adamw_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, \
        Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float beta2, \
        float weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, \
        Tensor? found_inf=None) -> ()
        """
    )
    static let foreachNorm = Operator(
        "_foreach_norm.Scalar(Tensor[] self, Scalar ord=2, ScalarType? dtype=None) -> Tensor[]"
    )
    static let foreachMul = Operator("_foreach_mul_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()")
}
