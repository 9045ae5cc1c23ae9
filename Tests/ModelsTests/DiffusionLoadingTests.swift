// Diffusers folders: kept as they are stored, refused in one line otherwise.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Torch

@testable import Models

@Suite("Diffusers folders")
struct DiffusionLoadingTests {
    private let placement = Placement(.cpu, .float32)

    /// Loads a copy of a model after `change`.
    private func load(of kind: TinyDiffusion.Kind = .sd2, _ change: (URL) throws -> Void) throws -> StableDiffusion {
        try withTemporaryFolder { folder in
            let copy = folder.appendingPathComponent("model")
            try FileManager.default.copyItem(at: TinyDiffusion.model(kind), to: copy)
            try change(copy)
            return try StableDiffusion.load(copy, on: placement)
        }
    }

    private func remove(_ name: String) -> (URL) throws -> Void {
        { try FileManager.default.removeItem(at: $0.appendingPathComponent(name)) }
    }

    /// Changes fields of a JSON file; nil takes one away.
    private func set(_ name: String, _ fields: [String: Any?]) -> (URL) throws -> Void {
        { folder in
            let url = folder.appendingPathComponent(name)
            let old = (try? JSONSerialization.jsonObject(with: Data(contentsOf: url))) as? [String: Any] ?? [:]
            let new = old.filter { fields[$0.key] == nil }.merging(fields.compactMapValues { $0 }) { $1 }
            try JSONSerialization.data(withJSONObject: new).write(to: url)
        }
    }

    @Test("weights of every part stay as they are stored")
    func storedTypes() throws {
        // GGUF's numbers: 1 is F16, 30 is BF16; F32 is dense.
        let expected: [(TinyDiffusion.Kind, text: Int, unet: Int, autoencoder: Int?)] = [
            (.pocket, 1, 1, 1), (.sd1, 30, 1, nil), (.sd2, 1, 1, 1),
        ]
        for (kind, text, unet, autoencoder) in expected {
            let parts = try TinyDiffusion(kind).parts
            func types(_ model: Module) -> Set<Int?> {
                Set(model.slots().compactMap { $0.slot as? Weights }.map(\.stored.ggmlType))
            }
            #expect(types(parts.textEncoder) == [text] && types(parts.unet) == [unet], "\(kind)")
            #expect(types(parts.autoencoder) == [autoencoder], "\(kind)")
        }
    }

    @Test("old names of the autoencoder and both names of the text encoder mean the same")
    func names() {
        let attention = "decoder.mid_block.attentions.0"
        #expect(DiffusersNames.autoencoder("\(attention).proj_attn.bias") == "\(attention).to_out.0.bias")
        #expect(DiffusersNames.autoencoder("\(attention).key.weight") == "\(attention).to_k.weight")
        #expect(DiffusersNames.autoencoder("\(attention).to_q.weight") == "\(attention).to_q.weight")
        #expect(DiffusersNames.autoencoder("encoder.conv_in.bias") == "encoder.conv_in.bias")
        #expect(DiffusersNames.text("final_layer_norm.bias") == "text_model.final_layer_norm.bias")
        #expect(DiffusersNames.text("text_model.final_layer_norm.bias") == "text_model.final_layer_norm.bias")
        #expect(DiffusersNames.text("text_model.embeddings.position_ids") == nil)
    }

    @Test("a folder that is not Stable Diffusion's is told what it is")
    func otherModels() throws {
        expectMessage("model_index.json: a StableDiffusionXLPipeline, which is not read; use a Stable Diffusion 1.x") {
            _ = try load(set("model_index.json", ["_class_name": "StableDiffusionXLPipeline"]))
        }
        expectMessage("model: has no folder 'vae'; name a diffusers folder with unet/, vae/") {
            _ = try load(remove("vae"))
        }
        #expect(try load(set("model_index.json", ["_class_name": "StableDiffusionPipeline"])).unet.config.groups == 4)
    }

    @Test("files that are missing or hold other weights are named, with all that is wrong")
    func incomplete() {
        expectMessage("unet/config.json: no such file, or no permission to read it; is the download complete?") {
            _ = try load(remove("unet/config.json"))
        }
        expectMessage("vae: diffusion_pytorch_model.safetensors: the folder has neither this file nor") {
            _ = try load(remove("vae/diffusion_pytorch_model.fp16.safetensors"))
        }
        expectMessage(
            "unet: does not fit the model it says it is: missing 'down_blocks.0.attentions.0.transformer_blocks.1"
        ) {
            _ = try load(set("unet/config.json", ["transformer_layers_per_block": 2]))
        }
        expectMessage("text_encoder: does not fit the model it says it is: unexpected 'text_model.encoder.layers.2") {
            _ = try load(set("text_encoder/config.json", ["num_hidden_layers": 2]))
        }
        expectMessage("vae: does not fit the model it says it is: 'encoder.conv_in.weight' is [8, 3, 3, 3], expected") {
            _ = try load(set("vae/config.json", ["in_channels": 4]))
        }
    }

    @Test("configurations that the port would misread are refused with the field")
    func configurations() {
        let fields: [(part: String, field: String, value: Any, message: String)] = [
            ("unet", "class_embed_type", "timestep", "'class_embed_type' is 'timestep'; only Stable Diffusion's null"),
            ("unet", "flip_sin_to_cos", false, "'flip_sin_to_cos' is false; only Stable Diffusion's true is read"),
            ("unet", "only_cross_attention", [true, false], "'only_cross_attention' is a list"),
            ("unet", "resnet_out_scale_factor", 1.5, "'resnet_out_scale_factor' is 1.5"),
            ("unet", "down_block_types", ["AttnDownBlock2D"], "a block of type 'AttnDownBlock2D' is not read here"),
            ("unet", "block_out_channels", [], "a network of 0 levels"),
            ("unet", "norm_num_groups", 5, "these do not go together: channels [8, 8, 16, 16]"),
            ("unet", "attention_head_dim", 0, "heads [0, 0, 0, 0]"),
            ("vae", "shift_factor", 0.5, "this kind of autoencoder is not read here"),
            ("vae", "norm_num_groups", 0, "these do not go together"),
            ("text_encoder", "hidden_act", "relu", "activation 'relu'"),
            ("text_encoder", "hidden_size", "wide", "config.json: 'hidden_size' is not a whole number"),
        ]
        for (part, field, value, message) in fields {
            expectMessage(message) { _ = try load(set("\(part)/config.json", [field: value])) }
        }
    }

    @Test("a tensor that is stored under two names is refused")
    func twice() {
        expectMessage("'text_model.final_layer_norm.bias' is stored twice, under two names") {
            _ = try load(of: .sd1) { folder in
                let url = folder.appendingPathComponent("text_encoder/model.safetensors")
                let entries = try SafetensorsFile(url).tensors.values.map { tensor in
                    SafetensorsWriter.Entry(name: tensor.name, shape: tensor.shape, floats: try tensor.floats())
                }
                let name = "text_model.final_layer_norm.bias"
                let more = SafetensorsWriter.Entry(name: name, shape: [12], floats: [Float](repeating: 0, count: 12))
                try SafetensorsWriter.write(entries + [more], to: url)
            }
        }
    }
}
