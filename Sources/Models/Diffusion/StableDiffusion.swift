// Stable Diffusion: the networks that turn a text into a picture together.

import NN

/// The three networks of a latent diffusion model (Rombach et al., arXiv:2112.10752).
public struct StableDiffusion {
    /// Texts to states.
    public let textEncoder: CLIPTextModel
    /// Predicts the noise in latents.
    public let unet: UNet2DConditionModel
    /// Pictures to latents and back.
    public let autoencoder: AutoencoderKL
}
