// Prompts to pictures: text states, noise from a seed, denoising, the autoencoder.

import Formats
import Foundation
import Models
import NN
import Runs
import Torch

/// One picture that is wanted.
struct PictureOrder {
    var prompt: String
    var negative = ""
    var size: SampleSize
    var seed: Int
    /// The starting noise (1, C, height / 8, width / 8); nil: from the seed.
    var noise: Tensor?
}

/// Makes pictures with the adapters that are on the networks.
struct PicturePainter {
    let unet: UNet2DConditionModel
    let autoencoder: AutoencoderKL
    let text: PictureText
    let schedule: NoiseSchedule
    let options: DenoisingOptions

    /// - Parameter progress: hears of each evaluation, counted from 0; what it throws ends the picture.
    func paint(_ order: PictureOrder, progress: (Int) throws -> Void) throws -> Picture {
        try withoutGradients {
            let device = unet.placement.device, scale = autoencoder.config.pixelsPerLatent
            let shape = [1, autoencoder.config.latentChannels, order.size.height / scale, order.size.width / scale]
            var stream = RandomStream(seed: order.seed, purpose: "sample")
            let noise = try order.noise ?? stream.normal(shape, on: device)
            let states = try text.pair(order.prompt, order.negative)
            let latents = try unet.denoise(
                noise, prompts: states.prompt, negatives: states.negative, schedule: schedule, options,
                draw: { _ in try stream.normal(shape, on: device) }, progress: { index, _ in try progress(index) })
            return try Picture(autoencoder.decode(latents * (1 / autoencoder.config.scalingFactor)))
        }
    }
}

/// Why there is no picture.
enum PaintingError: Error, CustomStringConvertible {
    case notFinite

    var description: String {
        "a picture came out as numbers that are not finite; lower the adapter's strength or the learning rate, or compute "
            + "in fp32 (mixed_precision: no)"
    }
}

extension Picture {
    /// The picture of (1, 3, H, W) within ±1, as the autoencoder gives it.
    init(_ tensor: Tensor) throws {
        let (height, width) = (tensor.shape[2], tensor.shape[3]), plane = height * width
        let values = try tensor.to(.float32).to(.cpu).array(Float.self)
        guard values.allSatisfy(\.isFinite) else { throw PaintingError.notFinite }
        var pixels = [UInt8](repeating: 0, count: 3 * plane)
        for place in 0..<plane {
            for band in 0..<3 {
                let value = values[band * plane + place]
                pixels[3 * place + band] = UInt8(max(0, min(255, (value * 127.5 + 127.5).rounded())))
            }
        }
        self.init(width: width, height: height, pixels: pixels)
    }
}
