// A factor on the loss that keeps small gradients from vanishing in fp16 (Micikevicius et al., arXiv:1710.03740).
// The same as https://github.com/pytorch/pytorch/blob/main/torch/amp/grad_scaler.py with its defaults.

/// The factor on the loss: halved after every overflow, doubled after a while without one.
struct LossScale: Equatable {
    private(set) var factor = 65_536.0
    /// Steps since the factor changed.
    private(set) var steady = 0
    private static let patience = 2000

    init() {}

    /// As `metadata` of a checkpoint has it.
    init?(_ metadata: [String: String]) {
        guard let factor = metadata["loss_scale"].flatMap(Double.init), factor > 0, factor.isFinite,
            let steady = metadata["loss_scale_steps"].flatMap(Int.init), steady >= 0
        else { return nil }
        (self.factor, self.steady) = (factor, steady)
    }

    var metadata: [String: String] { ["loss_scale": "\(factor)", "loss_scale_steps": "\(steady)"] }

    /// Takes note of a step whose gradients were finite, or were not.
    mutating func update(isFinite: Bool) {
        guard isFinite else {
            (factor, steady) = (factor / 2, 0)
            return
        }
        steady += 1
        if steady == Self.patience { (factor, steady) = (factor * 2, 0) }
    }
}
