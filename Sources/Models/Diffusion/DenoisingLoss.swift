// What a diffusion model learns from: how far its answer is from what was added to the latents.
// The same as the loss of https://github.com/huggingface/diffusers/blob/main/examples/text_to_image/train_text_to_image_lora.py
// with the weights of https://github.com/kohya-ss/sd-scripts (min-SNR-γ, masks, weights of regularisation pictures).
//
// B pictures, C channels of a latent, H height and W width of it, S tokens of text.

import Torch

/// Latents with what was drawn for them.
public struct DenoisingBatch {
    /// At the UNet's scale, (B, C, H, W).
    public var latents: Tensor
    /// Normal, of the same shape.
    public var noise: Tensor
    /// A step of the training for each picture.
    public var timesteps: [Int]
    /// The texts' states (B, S, context).
    public var context: Tensor
    /// What each picture's loss counts.
    public var weights: [Double]
    /// What of each picture counts, 0 to 1: (B, 1, H, W); nil: all of it.
    public var mask: Tensor?

    /// Makes a batch; every picture counts alike unless told otherwise.
    public init(
        latents: Tensor, noise: Tensor, timesteps: [Int], context: Tensor, weights: [Double]? = nil, mask: Tensor? = nil
    ) {
        (self.latents, self.noise, self.timesteps, self.context) = (latents, noise, timesteps, context)
        self.weights = weights ?? timesteps.map { _ in 1 }
        self.mask = mask
    }
}

extension UNet2DConditionModel {
    /// The sum over the pictures of the mean squared distance between the model's answer and what it should be, in
    /// fp32.
    ///
    /// - Parameter gamma: γ of min-SNR-γ; nil: all steps of the training weigh the same.
    public func loss(_ batch: DenoisingBatch, schedule: NoiseSchedule, minSNRGamma gamma: Double? = nil) throws
        -> Tensor
    {
        let (x, noise, steps) = (batch.latents, batch.noise, batch.timesteps)
        let noisy = try schedule.addNoise(noise, to: x, at: steps).to(placement.dtype)
        let answer = try self(noisy, timesteps: steps.map(Double.init), context: batch.context.to(placement.dtype))
        let distance = try answer.to(.float32) - schedule.target(of: x, noise: noise, at: steps).to(.float32)
        var squares = try distance * distance
        if let mask = batch.mask { squares = try squares * mask }
        let elements = Double(x.count / steps.count)
        let factors = zip(steps, batch.weights).map { step, weight in
            Float(weight * (gamma.map { schedule.minSNRWeight(step, gamma: $0) } ?? 1) / elements)
        }
        return try (squares * Tensor(factors, [steps.count, 1, 1, 1]).to(x.device)).sum()
    }

    /// Adds the gradients of `scale` · `factor` times the loss and gives `factor` times the loss; where that is no finite
    /// number, there are no gradients.
    ///
    /// The way back through the text encoder is walked once, for all the places where the UNet reads its states.
    public func addGradients(
        of batch: DenoisingBatch, schedule: NoiseSchedule, minSNRGamma gamma: Double? = nil, factor: Double = 1,
        scale: Double = 1
    ) throws -> Double {
        let states = batch.context
        var batch = batch
        if states.requiresGrad { batch.context = try states.detach().requiresGrad(true) }
        let loss = try loss(batch, schedule: schedule, minSNRGamma: gamma) * factor
        let value = try loss.item()
        guard value.isFinite else { return value }
        try (scale == 1 ? loss : loss * scale).backward()
        if states.requiresGrad, let gradient = batch.context.grad { try states.backward(gradient) }
        return value
    }
}
