// A single file of a picture model: its tensors, and what kind of model their names tell of.

import Formats
import Foundation

/// The tensors of one safetensors file or checkpoint of PyTorch.
struct PictureFile {
    let url: URL
    let tensors: [String: StoredTensor]
    /// Whole numbers of a checkpoint beside its tensors.
    var integers: [String: Int] = [:]
    /// Metadata of a safetensors file.
    var metadata: [String: String] = [:]

    init(_ url: URL) throws {
        self.url = url
        let stored: [String: StoredTensor]
        if try TorchCheckpoint.isOne(MappedFile(url)) {
            let checkpoint = try TorchCheckpoint(url)
            (stored, integers) = (checkpoint.tensors, checkpoint.integers)
        } else if case .safetensors = try ModelLocation.identify(url) {
            let file = try SafetensorsFile(url)
            (stored, metadata) = (file.tensors, file.metadata)
        } else {
            throw ModelError.config(file: url.path, problem: "a GGUF file, as text models have; \(Self.remedy)")
        }
        tensors = try stored.renamed(in: url.path) { [$0.hasPrefix("state_dict.") ? String($0.dropFirst(11)) : $0] }
    }

    private static let remedy = "name a Stable Diffusion 1.x or 2.x model: a diffusers folder, .safetensors or .ckpt"

    func has(_ prefix: String) -> Bool { tensors.keys.contains { $0.hasPrefix(prefix) } }

    // MARK: - Kinds

    /// Stable Diffusion's; everything else is refused with what it is.
    func kind() throws -> PictureBase.Kind {
        let input = tensors["model.diffusion_model.input_blocks.0.0.weight"]?.shape ?? []
        if let what = Self.others.first(where: { has($0.prefix) })?.what { throw refusal(what) }
        guard input.count == 4 else { throw refusal(otherPart ?? "not a model that lora knows") }
        if let task = Self.task(inChannels: input[1]) { throw refusal(task) }
        if has("model.diffusion_model.label_emb.") { throw refusal("a model that is told more than a text (unCLIP)") }
        let projection = tensors["model.diffusion_model.middle_block.1.proj_in.weight"]?.shape
        return projection?.count == 2 ? .stableDiffusion2 : .stableDiffusion1
    }

    private func refusal(_ what: String) -> ModelError {
        .config(file: url.path, problem: "\(what); \(Self.remedy)")
    }

    private static let others: [(prefix: String, what: String)] = [
        ("conditioner.embedders.1.", "Stable Diffusion XL, which is not supported yet"),
        ("conditioner.", "Stable Diffusion XL's refiner, which is not supported"),
        ("control_model.", "a ControlNet, not a base model"),
        ("controlnet_cond_embedding.", "a ControlNet, not a base model"),
        ("joint_blocks.", "Stable Diffusion 3, which is not supported"),
        ("model.diffusion_model.joint_blocks.", "Stable Diffusion 3, which is not supported"),
        ("double_blocks.", "Flux, which is not supported"),
        ("model.diffusion_model.double_blocks.", "Flux, which is not supported"),
        ("lora_unet_", "a LoRA, not a base model"), ("lora_te", "a LoRA, not a base model"),
    ]

    /// What a file holds that has no UNet of the original code.
    private var otherPart: String? {
        if tensors.isEmpty { return "a file without tensors" }
        if tensors.keys.contains(where: { $0.contains(".lora_") || $0.contains(".lora.") || $0.contains("_lora.") }) {
            return "a LoRA, not a base model"
        }
        if has("model.layers.") || has("model.embed_tokens.") || has("transformer.h.") || has("transformer.encoder.") {
            return "a language model"
        }
        if has("first_stage_model.") || has("encoder.conv_in.") { return "a VAE alone, without a UNet" }
        if has("down_blocks.") { return "a UNet alone; name the folder above unet/" }
        if has("text_model.") { return "a text encoder alone, without a UNet" }
        return nil
    }

    /// What a UNet is made for, from the channels of its input; nil for pictures from text.
    static func task(inChannels: Int) -> String? {
        switch inChannels {
        case 4: nil
        case 5: "a model that is told depths, which is not supported"
        case 7: "Stable Diffusion's upscaler, which is not supported"
        case 8: "an InstructPix2Pix model, which is not supported"
        case 9: "an inpainting model, which is not supported yet"
        default: "a UNet for latents of \(inChannels) channels, 4 expected"
        }
    }
}

// MARK: - Parts

extension PictureFile {
    /// The UNet; `prediction` tells Stable Diffusion 2's model for 768 pixels, of latents of 96, from that for 512.
    func unet(_ kind: PictureBase.Kind, _ prediction: Prediction) throws -> PicturePart<UNetConfig> {
        let stored = tensors.below("model.diffusion_model.")
        let layers = LDMNames.layersPerBlock(stored.keys)
        let renamed = try stored.renamed(in: url.path) { [LDMNames.unet($0, layersPerBlock: layers)] }
        var config = try UNetConfig(TensorShapes(path: url.path, tensors: renamed), kind: kind)
        if kind == .stableDiffusion2, prediction == .velocity { config.sampleSize = 96 }
        return PicturePart(config: config, files: [url], tensors: renamed, path: url.path)
    }

    /// The text encoder under transformers' names, with or without `text_model.`, or under OpenCLIP's.
    func textEncoder(_ kind: PictureBase.Kind) throws -> PicturePart<CLIPTextConfig> {
        let open = tensors.below("cond_stage_model.model."), clip = tensors.below("cond_stage_model.transformer.")
        guard !open.isEmpty || !clip.isEmpty else {
            throw ModelError.config(
                file: url.path,
                problem: "has no text encoder ('cond_stage_model.…'); \(Self.remedy), with all its parts")
        }
        let count = TensorShapes(path: url.path, tensors: open).count { "transformer.resblocks.\($0).ln_1.weight" }
        // Stable Diffusion 2 reads the states before the last layer; some files leave that out of its 24.
        let layers = count == 23 ? 23 : count - 1
        let renamed =
            try open.isEmpty
            ? clip.renamed(in: url.path) { DiffusersNames.text($0).map { [$0] } ?? [] }
            : open.renamed(in: url.path) { LDMNames.openCLIP($0, layers: layers) }
        let config = try CLIPTextConfig(
            TensorShapes(path: url.path, tensors: renamed),
            activation: kind == .stableDiffusion1 ? "quick_gelu" : "gelu")
        return PicturePart(config: config, files: [url], tensors: renamed, path: url.path)
    }

    /// The autoencoder within a base, or a file of its own, under the original names or diffusers'.
    func autoencoder(scale: Double = AutoencoderConfig.usualScalingFactor) throws -> PicturePart<AutoencoderConfig> {
        let nested = tensors.below("first_stage_model.")
        let wanted = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."]
        let stored = (nested.isEmpty ? tensors : nested).filter { name, _ in wanted.contains(where: name.hasPrefix) }
        guard !stored.isEmpty else {
            throw ModelError.config(
                file: url.path, problem: "has no VAE ('first_stage_model.…'); name a file or folder that has one")
        }
        let levels = TensorShapes(path: url.path, tensors: stored).count { "encoder.down.\($0).block.0.conv1.weight" }
        let renamed = try stored.renamed(in: url.path) { name in
            [DiffusersNames.autoencoder(levels > 0 ? LDMNames.autoencoder(name, levels: levels) : name)]
        }
        let config = try AutoencoderConfig(
            TensorShapes(path: url.path, tensors: renamed), scalingFactor: scale)
        return PicturePart(config: config, files: [url], tensors: renamed, path: url.path)
    }
}
