// Every key that is written for Stable Diffusion 1.5 is one that AUTOMATIC1111 and ComfyUI look for.
//
// Their rules, as of 2024: https://github.com/AUTOMATIC1111/stable-diffusion-webui, extensions-builtin/Lora/networks.py;
// https://github.com/comfyanonymous/ComfyUI, comfy/lora.py and comfy/utils.py.

import Foundation
import NN
import Testing
import Torch

@testable import LoRA
@testable import Models

@Suite("Keys of picture adapters")
struct PictureKeysTests {
    private let unet: [String], text: [String]

    init() {
        let unetConfig = UNetConfig(
            inChannels: 4, outChannels: 4, blockChannels: [320, 640, 1280, 1280], layersPerBlock: 2,
            heads: [8, 8, 8, 8], transformerLayers: [1, 1, 1, 1], attends: [true, true, true, false], contextSize: 768,
            groups: 32, normEpsilon: 1e-5, usesLinearProjection: false, sampleSize: 64)
        let textConfig = CLIPTextConfig(
            vocabularySize: 49408, hiddenSize: 768, intermediateSize: 3072, layers: 12, heads: 12, maxPositions: 77,
            normEpsilon: 1e-5, activation: "quick_gelu")
        let placement = Placement(.cpu, .float32)
        func paths(_ model: Module) -> [String] { model.modules(of: (any AdaptedLayer).self).map(\.path) }
        unet = paths(UNet2DConditionModel(unetConfig, on: placement))
        text = paths(CLIPTextModel(textConfig, on: placement))
    }

    /// The part of a key before its first dot, which is all that the programs look up.
    private func stems(_ paths: [String], _ part: PictureNetwork) -> Set<String> {
        Set(
            paths.map { path in
                let names = PictureKeys.kohya.names(path, of: part)
                let stem = String(names.down.prefix { $0 != "." })
                #expect(names.down == "\(stem).lora_down.weight" && names.up == "\(stem).lora_up.weight")
                #expect(names.alpha == "\(stem).alpha")
                return stem
            })
    }

    @Test("sd-scripts' default layers are 192 of the UNet and 72 of the text encoder")
    func defaults() {
        let attentions = unet.filter { TargetPattern("attentions").matches($0) }
        #expect(stems(attentions, .unet).count == 192)
        #expect(stems(text, .textEncoder).count == 72 && text.count == 72)
        #expect(stems(unet, .unet).count == unet.count)
        #expect(
            stems(attentions, .unet).contains("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0"))
        #expect(stems(text, .textEncoder).contains("lora_te_text_model_encoder_layers_11_self_attn_q_proj"))
    }

    @Test("AUTOMATIC1111 finds the layer of every key, and so does ComfyUI, and it is the right one")
    func lookups() throws {
        let original = LatentDiffusionPaths(unet), comfy = ComfyUI()
        for path in unet {
            let stem = PictureKeys.kohya.names(path, of: .unet).down.prefix { $0 != "." }
            let layer = try #require(original(path), "\(path)").replacing(".", with: "_")
            #expect(OriginalUNet.layers.contains(layer), "\(path)")
            #expect(WebUI.layer(String(stem)) == "diffusion_model_\(layer)", "\(path)")
            #expect(comfy.layers[String(stem)] == layer, "\(path)")
        }
        #expect(unet.count == OriginalUNet.layers.count)
        for path in text {
            let stem = String(PictureKeys.kohya.names(path, of: .textEncoder).down.prefix { $0 != "." })
            #expect(WebUI.layer(stem) == "transformer_" + path.replacing(".", with: "_"))
            #expect(comfy.textKeys.contains(stem))
        }
    }

    @Test("ComfyUI finds diffusers' old keys of attention")
    func oldKeys() throws {
        let comfy = ComfyUI()
        for path in unet where path.contains(".attn") {
            let name = PictureKeys.diffusersOld.names(path, of: .unet).up
            #expect(comfy.diffusersKeys.contains(String(name.dropLast("_lora.up.weight".count))), "\(name)")
        }
    }

    @Test("the four ways to write a layer's keys")
    func examples() {
        let path = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0"
        let feed = "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"
        let text = "text_model.encoder.layers.0.self_attn.out_proj",
            stem = "mid_block.attentions.0.transformer_blocks.0"
        #expect(PictureKeys.diffusers.names(path, of: .unet).down == "unet.\(stem).attn2.to_out.0.lora.down.weight")
        #expect(
            PictureKeys.diffusersOld.names(path, of: .unet).up == "unet.\(stem).attn2.processor.to_out_lora.up.weight")
        #expect(PictureKeys.diffusersOld.names(feed, of: .unet).up == "unet.\(feed).lora.up.weight")
        #expect(PictureKeys.peft.names(feed, of: .unet).up == "unet.\(feed).lora_B.weight")
        let layer = "text_encoder.text_model.encoder.layers.0"
        #expect(
            PictureKeys.diffusersOld.names(text, of: .textEncoder).down
                == "\(layer).self_attn.to_out_lora.down.weight")
        #expect(
            PictureKeys.diffusers.names(text, of: .textEncoder).down
                == "\(layer).self_attn.out_proj.lora_linear_layer.down.weight")
    }
}

/// The layers with weights of Stable Diffusion 1.x's UNet in the code of latent diffusion: four levels of two blocks,
/// of which the upper three attend.
private enum OriginalUNet {
    static let layers: Set<String> = {
        var all: Set = ["input_blocks_0_0", "time_embed_0", "time_embed_2", "out_2"]
        func residual(_ block: String, changes: Bool) {
            let names = ["in_layers_2", "emb_layers_1", "out_layers_3"] + (changes ? ["skip_connection"] : [])
            all.formUnion(names.map { "\(block)_\($0)" })
        }
        func attention(_ block: String) {
            let inner = ["attn1", "attn2"].flatMap { name in ["q", "k", "v", "out_0"].map { "\(name)_to_\($0)" } }
            all.formUnion((inner + ["ff_net_0_proj", "ff_net_2"]).map { "\(block)_transformer_blocks_0_\($0)" })
            all.formUnion(["\(block)_proj_in", "\(block)_proj_out"])
        }
        for level in 0..<4 {
            for block in 0..<2 {
                let name = "input_blocks_\(3 * level + block + 1)"
                residual("\(name)_0", changes: block == 0 && (level == 1 || level == 2))
                if level < 3 { attention("\(name)_1") }
            }
            if level < 3 { all.insert("input_blocks_\(3 * level + 3)_0_op") }
            for block in 0..<3 {
                let name = "output_blocks_\(3 * level + block)"
                residual("\(name)_0", changes: true)
                if level > 0 { attention("\(name)_1") }
            }
            if level < 3 { all.insert("output_blocks_\(3 * level + 2)_\(level > 0 ? 2 : 1)_conv") }
        }
        residual("middle_block_0", changes: false)
        attention("middle_block_1")
        residual("middle_block_2", changes: false)
        return all
    }()
}

/// AUTOMATIC1111's way from a key to the name of a layer.
private enum WebUI {
    private static let residual = [
        "conv1": "in_layers_2", "conv2": "out_layers_3", "time_emb_proj": "emb_layers_1",
        "conv_shortcut": "skip_connection",
    ]

    static func layer(_ key: String) -> String {
        func inner(_ kind: Substring, _ rest: Substring) -> String {
            kind == "resnets" ? residual[String(rest)] ?? String(rest) : String(rest)
        }
        func number(_ text: Substring) -> Int { Int(text) ?? 0 }
        let block = "diffusion_model_"
        if let found = key.wholeMatch(of: /lora_unet_(conv_in|conv_out)/) {
            return block + (found.1 == "conv_in" ? "input_blocks_0_0" : "out_2")
        }
        if let found = key.wholeMatch(of: /lora_unet_time_embedding_linear_(\d+)/) {
            return "\(block)time_embed_\(2 * number(found.1) - 2)"
        }
        if let found = key.wholeMatch(of: /lora_unet_(down|up)_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)/) {
            let place = 3 * number(found.2) + number(found.4) + (found.1 == "down" ? 1 : 0)
            let name = found.1 == "down" ? "input_blocks" : "output_blocks"
            return "\(block)\(name)_\(place)_\(found.3 == "resnets" ? 0 : 1)_\(inner(found.3, found.5))"
        }
        if let found = key.wholeMatch(of: /lora_unet_mid_block_(attentions|resnets)_(\d+)_(.+)/) {
            let place = found.1 == "resnets" ? 2 * number(found.2) : 1
            return "\(block)middle_block_\(place)_\(inner(found.1, found.3))"
        }
        if let found = key.wholeMatch(of: /lora_unet_down_blocks_(\d+)_downsamplers_0_conv/) {
            return "\(block)input_blocks_\(3 * number(found.1) + 3)_0_op"
        }
        if let found = key.wholeMatch(of: /lora_unet_up_blocks_(\d+)_upsamplers_0_conv/) {
            return "\(block)output_blocks_\(3 * number(found.1) + 2)_\(number(found.1) > 0 ? 2 : 1)_conv"
        }
        return key.replacing("lora_te_text_model", with: "transformer_text_model")
    }
}

/// ComfyUI's table of keys for Stable Diffusion 1.x.
private struct ComfyUI {
    /// Original layers by key.
    private(set) var layers: [String: String] = [:]
    /// diffusers' keys without `_lora.up.weight`.
    private(set) var diffusersKeys: Set<String> = []

    /// Keys of the text encoder's layers.
    let textKeys: Set<String> = {
        let names = ["mlp_fc1", "mlp_fc2"] + ["q", "k", "v", "out"].map { "self_attn_\($0)_proj" }
        return Set((0..<32).flatMap { layer in names.map { "lora_te_text_model_encoder_layers_\(layer)_\($0)" } })
    }()

    init() {
        let inner = ["attn1", "attn2"].flatMap { name in ["q", "k", "v", "out.0"].map { "\(name).to_\($0)" } }
        let attention =
            (inner + ["ff.net.0.proj", "ff.net.2"]).map { "transformer_blocks.0.\($0)" } + ["proj_in", "proj_out"]
        let residual = [
            "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "conv2": "out_layers.3",
            "conv_shortcut": "skip_connection",
        ]
        for level in 0..<4 {
            for block in 0..<3 {
                let (down, up) = (3 * level + block + 1, 3 * level + block)
                for (name, old) in residual {
                    if block < 2 {
                        add("down_blocks.\(level).resnets.\(block).\(name)", "input_blocks.\(down).0.\(old)")
                    }
                    add("up_blocks.\(level).resnets.\(block).\(name)", "output_blocks.\(up).0.\(old)")
                }
                for name in attention {
                    if block < 2, level < 3 {
                        add("down_blocks.\(level).attentions.\(block).\(name)", "input_blocks.\(down).1.\(name)")
                    }
                    if level > 0 {
                        add("up_blocks.\(level).attentions.\(block).\(name)", "output_blocks.\(up).1.\(name)")
                    }
                }
            }
            add("down_blocks.\(level).downsamplers.0.conv", "input_blocks.\(3 * level + 3).0.op")
            add("up_blocks.\(level).upsamplers.0.conv", "output_blocks.\(3 * level + 2).\(level > 0 ? 2 : 1).conv")
        }
        for name in attention { add("mid_block.attentions.0.\(name)", "middle_block.1.\(name)") }
        for (name, old) in residual {
            add("mid_block.resnets.0.\(name)", "middle_block.0.\(old)")
            add("mid_block.resnets.1.\(name)", "middle_block.2.\(old)")
        }
        add("conv_in", "input_blocks.0.0")
        add("conv_out", "out.2")
        add("time_embedding.linear_1", "time_embed.0")
        add("time_embedding.linear_2", "time_embed.2")
    }

    private mutating func add(_ path: String, _ original: String) {
        layers["lora_unet_" + path.replacing(".", with: "_")] = original.replacing(".", with: "_")
        let name = "unet." + path.replacing(".to_", with: ".processor.to_")
        diffusersKeys.insert(name.hasSuffix(".to_out.0") ? String(name.dropLast(2)) : name)
    }
}
