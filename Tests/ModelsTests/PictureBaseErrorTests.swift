// What cannot be a picture base, or does not belong to it, is refused in one line that says what it is.

import Formats
import Foundation
import NN
import TestSupport
import Testing

@testable import Models

@Suite("Refused picture bases")
struct PictureBaseErrorTests {
    private func tensor(_ shape: [Int]) throws -> StoredTensor {
        let some = try #require(TinySingleFile.sd2.tensors()["model.diffusion_model.middle_block.0.in_layers.2.weight"])
        return try some.part(shape: shape)
    }

    /// Expects a file with these tensors, all of shape `[2, 2]`, to be refused.
    private func expectRefusal(_ names: [String], _ message: String) throws {
        let tensor = try tensor([2, 2])
        try withFile(Dictionary(uniqueKeysWithValues: names.map { ($0, tensor) })) { url in
            expectMessage("model.safetensors: \(message)") { _ = try PictureBase(url) }
        }
    }

    @Test(
        "other models are called by their names",
        arguments: [
            ("conditioner.embedders.1.model.positional_embedding", "Stable Diffusion XL, which is not supported yet"),
            ("conditioner.embedders.0.model.text_projection", "Stable Diffusion XL's refiner"),
            ("control_model.time_embed.0.weight", "a ControlNet, not a base model"),
            ("model.diffusion_model.joint_blocks.0.x", "Stable Diffusion 3, which is not supported"),
            ("double_blocks.0.img_attn.qkv.weight", "Flux, which is not supported"),
            ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "a LoRA, not a base model"),
            ("unet.mid_block.attentions.0.proj_in.lora_A.weight", "a LoRA, not a base model"),
            ("model.layers.0.self_attn.q_proj.weight", "a language model"),
            ("encoder.conv_in.weight", "a VAE alone, without a UNet"),
            ("down_blocks.0.resnets.0.conv1.weight", "a UNet alone; name the folder above unet/"),
            ("text_model.encoder.layers.0.mlp.fc1.weight", "a text encoder alone, without a UNet"),
            ("something.else", "not a model that lora knows"),
        ])
    func kinds(name: String, what: String) throws {
        try expectRefusal([name], what)
    }

    @Test(
        "UNets for other tasks are called by their inputs",
        arguments: [
            (5, "a model that is told depths"), (7, "Stable Diffusion's upscaler"), (8, "an InstructPix2Pix model"),
            (
                9,
                "an inpainting model, which is not supported yet; name a Stable Diffusion 1.x or 2.x model: a diffusers"
            ),
            (16, "a UNet for latents of 16 channels, 4 expected"),
        ])
    func tasks(channels: Int, what: String) throws {
        var tensors = try TinySingleFile.sd1.tensors()
        tensors["model.diffusion_model.input_blocks.0.0.weight"] = try tensor([2, channels, 3, 1])
        try withFile(tensors) { url in expectMessage("model.safetensors: \(what)") { _ = try PictureBase(url) } }
    }

    /// Expects the tensors of a tiny model, after a change, to be refused.
    private func expectRefusal(
        of kind: TinySingleFile = .sd1, _ message: String, _ change: (inout [String: StoredTensor]) throws -> Void
    ) throws {
        var tensors = try kind.tensors()
        try change(&tensors)
        try withFile(tensors) { url in
            expectMessage(message) { _ = try StableDiffusion.load(url, on: Placement(.cpu, .float32)) }
        }
    }

    @Test("parts, tensors and shapes that a file lacks are named")
    func incomplete() throws {
        try expectRefusal("model.safetensors: has no text encoder ('cond_stage_model.…'); name a Stable") { tensors in
            tensors = tensors.filter { !$0.key.hasPrefix("cond_stage_model.") }
        }
        try expectRefusal("model.safetensors: has no VAE ('first_stage_model.…'); name a file or folder") { tensors in
            tensors = tensors.filter { !$0.key.hasPrefix("first_stage_model.") }
        }
        try expectRefusal("missing 'time_embedding.linear_1.bias' [32]; is the download complete?") {
            $0["model.diffusion_model.time_embed.0.bias"] = nil
        }
        try expectRefusal("lacks 'conv_out.weight'; is the download complete?") {
            $0["model.diffusion_model.out.2.weight"] = nil
        }
        try expectRefusal("'conv_out.weight' is [2, 2], 4 dimensions expected") {
            $0["model.diffusion_model.out.2.weight"] = try tensor([2, 2])
        }
        try expectRefusal("unexpected 'down_blocks.0.extra.weight'") {
            $0["model.diffusion_model.down_blocks.0.extra.weight"] = try tensor([2])
        }
        try expectRefusal("a model that is told more than a text (unCLIP)") {
            $0["model.diffusion_model.label_emb.0.0.weight"] = try tensor([2])
        }
        try expectRefusal(of: .sd2, "attn.in_proj_bias' is [25], 3 parts of equal rows expected") {
            $0["cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias"] = try tensor([25])
        }
        try expectRefusal(of: .sd2, "a text encoder of size 4, the UNet takes 8; fetch both from the same model") {
            let prefix = "cond_stage_model.model."
            $0["\(prefix)token_embedding.weight"] = try tensor([40, 4])
        }
    }

    @Test("damaged files, text models and folders without parts are told apart")
    func others() throws {
        try withTemporaryFolder { folder in
            let cut = folder.appendingPathComponent("cut.ckpt")
            try Data(contentsOf: TinySingleFile.sd1.file).dropLast(100).write(to: cut)
            expectMessage("cut.ckpt: a ZIP archive without the list of its contents, which is at its end; the file is")
            {
                _ = try PictureBase(cut)
            }
            let short = folder.appendingPathComponent("cut.safetensors")
            try Data(contentsOf: TinySingleFile.sd2.file).dropLast(100).write(to: short)
            expectMessage("cut.safetensors: ") { _ = try PictureBase(short) }
            expectMessage("absent.ckpt: cannot open: there is no such file or folder; check the path") {
                _ = try PictureBase(folder.appendingPathComponent("absent.ckpt"))
            }
            expectMessage("has no folder 'unet'; name a diffusers folder with unet/, vae/ and text_encoder/, or a file")
            {
                _ = try PictureBase(folder)
            }
        }
        expectMessage("gguf-mixed.gguf: a GGUF file, as text models have; name a Stable Diffusion 1.x or 2.x model") {
            _ = try PictureBase(goldens.appendingPathComponent("gguf-mixed.gguf"))
        }
        expectMessage("llama-tied: a text model; name a Stable Diffusion 1.x or 2.x model") {
            _ = try PictureBase(goldens.appendingPathComponent("llama-tied"))
        }
    }

    // MARK: - Another autoencoder

    @Test("another VAE, from a file, a base or a folder, takes the place of the base's own")
    func otherAutoencoder() throws {
        let base = TinySingleFile.sd1.file
        let other = try PictureBase(base, autoencoder: TinySingleFile.sd2.file)
        #expect(other.autoencoder.files == [TinySingleFile.sd2.file] && other.unet.files == [base])
        let alone = try TinySingleFile.sd2.tensors().below("first_stage_model.")
        try withFile(alone) { url in
            let changed = try PictureBase(base, autoencoder: url)
            #expect(changed.autoencoder.tensors.count == other.autoencoder.tensors.count)
            _ = try changed.loadAutoencoder(on: Placement(.cpu, .float32))
        }
        for name in ["", "vae"] {
            let folder = TinyDiffusion.model(.sd1).appendingPathComponent(name)
            #expect(try PictureBase(base, autoencoder: folder).autoencoder.config.blockChannels == [8, 16])
        }
    }

    @Test("a base without a VAE is complete with another")
    func missingAutoencoder() throws {
        try withFile(TinySingleFile.sd1.tensors().filter { !$0.key.hasPrefix("first_stage_model.") }) { url in
            let base = try PictureBase(url, autoencoder: TinySingleFile.sd2.file)
            #expect(base.autoencoder.config.latentChannels == 4)
        }
    }

    @Test("a VAE of another family is refused by its channels or its scale")
    func wrongAutoencoder() throws {
        var alone = try TinySingleFile.sd2.tensors().below("first_stage_model.")
        alone["decoder.conv_in.weight"] = try tensor([2, 16, 1, 1])
        try withFile(alone) { url in
            expectMessage("a VAE with latents of 16 channels, the UNet takes 4; use one made for Stable Diffusion 1.x")
            {
                _ = try PictureBase(TinySingleFile.sd1.file, autoencoder: url)
            }
        }
        try withTemporaryFolder { folder in
            let copy = folder.appendingPathComponent("vae")
            try FileManager.default.copyItem(at: TinyDiffusion.model(.sd1).appendingPathComponent("vae"), to: copy)
            let config = copy.appendingPathComponent("config.json")
            let text = try String(contentsOf: config, encoding: .utf8).replacing("0.18215", with: "0.13025")
            try Data(text.utf8).write(to: config)
            expectMessage(
                "vae: a VAE whose latents are scaled by 0.13025, those of this model by 0.18215; use one made"
            ) {
                _ = try PictureBase(TinySingleFile.sd1.file, autoencoder: copy)
            }
            let weights = copy.appendingPathComponent("diffusion_pytorch_model.safetensors")
            expectMessage("vae: a VAE whose latents are scaled by 0.13025") {
                _ = try PictureBase(TinySingleFile.sd1.file, autoencoder: weights)
            }
        }
    }
}
