// Recognising files that are no LoRA for Stable Diffusion 1.x or 2.x, to say what they are.

import Formats

/// What is told apart by the names of tensors.
enum ForeignAdapter {
    /// What the file is, with the key that shows it; nil for what may be read.
    static func name(_ file: SafetensorsFile) -> String? {
        let keys = file.tensors.keys.sorted()
        for (parts, kind) in kinds {
            if let key = keys.first(where: { key in parts.contains { key.contains($0) } }) {
                return "\(kind) ('\(key.onOneLine)')"
            }
        }
        let version = file.metadata["ss_base_model_version"] ?? file.metadata["modelspec.architecture"] ?? ""
        if version.contains("xl") { return "a LoRA for SDXL, as its metadata says ('\(version.onOneLine)')" }
        let wide = file.tensors.values.first { tensor in
            tensor.name.contains("attn2") && tensor.shape.count > 1 && tensor.shape[1] == 2048
                && (tensor.name.contains("down") || tensor.name.contains("lora_A"))
        }
        return wide.map { "a LoRA for SDXL, whose text has 2048 channels ('\($0.name.onOneLine)')" }
    }

    /// Parts of names, the telling ones first.
    private static let kinds: [(parts: [String], kind: String)] = [
        (["model.diffusion_model.", "cond_stage_model."], "a whole model"),
        (["emb_params", "string_to_param"], "a textual inversion"),
        (["base_model.model.model.", "base_model.model.transformer.", "model.layers."], "a language model's adapter"),
        ([".dora_scale", ".lora_magnitude_vector"], "a DoRA"),
        ([".hada_"], "a LoHa of LyCORIS"),
        ([".lokr_"], "a LoKr of LyCORIS"),
        ([".oft_", "oft_unet_", ".boft_"], "an OFT adapter"),
        ([".lora_mid."], "a LoCon of LyCORIS in Tucker's form"),
        ([".on_input"], "an (IA)³ adapter of LyCORIS"),
        ([".b1.weight"], "a GLoRA of LyCORIS"),
        ([".diff", ".w_norm"], "an adapter with whole weights of LyCORIS"),
        (["lora_te2_", "text_encoder_2.", "label_emb", "add_embedding"], "a LoRA for SDXL"),
        (["lora_te3_", "text_encoder_3.", "joint_transformer_blocks", "joint_blocks"], "a LoRA for SD 3"),
        (["double_blocks", "single_transformer_blocks"], "a LoRA for FLUX"),
        (["controlnet"], "a ControlNet"),
    ]
}
