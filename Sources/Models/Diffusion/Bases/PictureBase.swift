// A Stable Diffusion model on disk: what it is and what it is made of, before any tensor is read.

import Formats
import Foundation
import NN
import Tokenizers

/// A picture model that has been found, not loaded: what its headers say.
///
/// Training loads the autoencoder and the text encoder, keeps what they make of the data, lets them go and only then
/// loads the UNet; so each has a method of its own.
public struct PictureBase: Sendable {
    /// The families that are read.
    public enum Kind: String, Sendable, CustomStringConvertible {
        /// With CLIP's text encoder: 1.1 to 1.5.
        case stableDiffusion1 = "Stable Diffusion 1.x"
        /// With OpenCLIP's text encoder: 2.0, 2.1 and their bases.
        case stableDiffusion2 = "Stable Diffusion 2.x"

        /// The name of the family.
        public var description: String { rawValue }
    }

    /// The folder or file, as the user named it.
    public let url: URL
    /// The family, as the UNet tells it.
    public let kind: Kind
    /// Texts to states.
    public let textEncoder: PicturePart<CLIPTextConfig>
    /// Predicts the noise in latents.
    public let unet: PicturePart<UNetConfig>
    /// Pictures to latents and back: the model's own, or the other that was given.
    public let autoencoder: PicturePart<AutoencoderConfig>
    /// The noise that the model was trained with, and what it predicts.
    public let noise: NoiseScheduleConfig
    /// What its files say that it predicts, whatever was asked for.
    public let storedPrediction: Prediction
    private let noiseFiles: [URL]
    private let tokens: TokenizerPlace

    /// Reads the headers of a diffusers folder, or of a single `.safetensors` or `.ckpt` file in the original layout.
    ///
    /// - Parameters:
    ///   - autoencoder: a folder or file whose autoencoder takes the place of the model's own.
    ///   - prediction: what the model predicts, where that is known better. Nothing in a single file's tensors tells
    ///     Stable Diffusion 2's two kinds apart. In this order these do: the metadata `modelspec.prediction_type`; a
    ///     tensor called `v_pred`; `parameterization` in a `.yaml` of the same name beside the file; and, as in
    ///     diffusers, a `global_step` of 875000, which is that of 2-base, where all others predict the velocity.
    public init(_ url: URL, autoencoder other: URL? = nil, prediction: Prediction? = nil) throws {
        self.url = url
        let own: Result<PicturePart<AutoencoderConfig>, any Error>
        var noise: NoiseScheduleConfig
        if url.isFolder {
            let folder = try PictureFolder(url)
            (unet, textEncoder) = (try folder.unet(), try folder.textEncoder())
            own = Result { try folder.autoencoder() }
            kind = unet.config.usesLinearProjection ? .stableDiffusion2 : .stableDiffusion1
            (noise, noiseFiles) = try folder.noise()
            storedPrediction = noise.prediction
            noise.prediction = prediction ?? noise.prediction
            tokens = .folder(url.appendingPathComponent("tokenizer", isDirectory: true))
        } else {
            let file = try PictureFile(url)
            kind = try file.kind()
            (noise, noiseFiles) = file.noise(kind)
            storedPrediction = noise.prediction
            noise.prediction = prediction ?? noise.prediction
            (unet, textEncoder) = (try file.unet(kind, noise.prediction), try file.textEncoder(kind))
            own = Result { try file.autoencoder() }
            tokens = .beside(url)
        }
        self.noise = noise
        autoencoder = try other.map { try .init(other: $0, insteadOf: try? own.get().config) } ?? own.get()
        try check()
    }

    /// Refuses parts that do not go together.
    private func check() throws {
        if let task = PictureFile.task(inChannels: unet.config.inChannels) {
            throw ModelError.config(file: unet.path, problem: "\(task); use a Stable Diffusion 1.x or 2.x model")
        }
        guard autoencoder.config.latentChannels == unet.config.inChannels else {
            throw ModelError.config(
                file: autoencoder.path,
                problem: "a VAE with latents of \(autoencoder.config.latentChannels) channels, the UNet takes "
                    + "\(unet.config.inChannels); use one made for Stable Diffusion 1.x and 2.x")
        }
        guard textEncoder.config.hiddenSize == unet.config.contextSize else {
            throw ModelError.config(
                file: textEncoder.path,
                problem: "a text encoder of size \(textEncoder.config.hiddenSize), the UNet takes "
                    + "\(unet.config.contextSize); fetch both from the same model")
        }
    }

    // MARK: - Files

    /// The files that decide what the model computes.
    public var files: [URL] {
        let all = unet.files + autoencoder.files + textEncoder.files + noiseFiles + tokens.files
        return all.reduce(into: []) { files, url in if !files.contains(url) { files.append(url) } }
    }

    /// Bytes of all tensors as they are stored.
    public var byteCount: Int { unet.byteCount + autoencoder.byteCount + textEncoder.byteCount }

    // MARK: - Loading

    /// The tokenizer of the folder, or that beside the file: no single file holds one.
    public func tokenizer() throws -> CLIPTokenizer {
        // Stable Diffusion 2 fills up with `!`, and its files say so, if they are there.
        try tokens.load(padding: kind == .stableDiffusion2 ? "!" : nil)
    }

    /// Loads one part, memory-mapped where the device allows it, as the others.
    public func loadTextEncoder(on placement: Placement) throws -> CLIPTextModel {
        try .load(textEncoder, on: placement)
    }

    /// Loads the autoencoder, whose numbers leave the range of fp16 in many models.
    public func loadAutoencoder(on placement: Placement) throws -> AutoencoderKL {
        try .load(autoencoder, on: placement)
    }

    /// Loads the UNet.
    public func loadUNet(on placement: Placement) throws -> UNet2DConditionModel { try .load(unet, on: placement) }
}
