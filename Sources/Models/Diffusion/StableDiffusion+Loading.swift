// Loading all of a Stable Diffusion model, or one part of a diffusers folder.

import Foundation
import NN

extension StableDiffusion {
    /// Loads a diffusers folder, or a single `.safetensors` or `.ckpt` file in the original layout, memory-mapped where
    /// the device allows it.
    public static func load(_ url: URL, on placement: Placement) throws -> StableDiffusion {
        let base = try PictureBase(url)
        return StableDiffusion(
            textEncoder: try base.loadTextEncoder(on: placement), unet: try base.loadUNet(on: placement),
            autoencoder: try base.loadAutoencoder(on: placement))
    }
}

extension UNet2DConditionModel {
    /// Loads the `unet` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> UNet2DConditionModel {
        try load(PicturePart(unet: folder), on: placement)
    }

    static func load(_ part: PicturePart<UNetConfig>, on placement: Placement) throws -> UNet2DConditionModel {
        let model = UNet2DConditionModel(part.config, on: placement)
        try part.fill(model, on: placement)
        return model
    }
}

extension AutoencoderKL {
    /// Loads the `vae` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> AutoencoderKL {
        try load(PicturePart(autoencoder: folder), on: placement)
    }

    static func load(_ part: PicturePart<AutoencoderConfig>, on placement: Placement) throws -> AutoencoderKL {
        let model = AutoencoderKL(part.config)
        try part.fill(model, on: placement)
        return model
    }
}

extension CLIPTextModel {
    /// Loads the `text_encoder` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> CLIPTextModel {
        try load(PicturePart(textEncoder: folder), on: placement)
    }

    static func load(_ part: PicturePart<CLIPTextConfig>, on placement: Placement) throws -> CLIPTextModel {
        let model = CLIPTextModel(part.config, on: placement)
        try part.fill(model, on: placement)
        return model
    }
}
