// Names of tensors in single files of Stable Diffusion (those of the original code) and in diffusers, whose names the
// models have here.
//
// The same as what
// https://github.com/huggingface/diffusers/blob/main/src/diffusers/loaders/single_file_utils.py converts.

/// From the names of the original code of latent diffusion (LDM) to diffusers' names; unknown names stay as they are.
enum LDMNames {
    /// The number of a block; nil for what no model has.
    private static func number(_ part: String) -> Int? { Int(part).flatMap { (0..<1000).contains($0) ? $0 : nil } }

    /// `name` with its beginning replaced, where one of the table's ends it or ends before a dot.
    private static func replaced(_ name: String, by table: KeyValuePairs<String, String>) -> String {
        for (old, new) in table where name.hasPrefix(old) {
            let rest = name.dropFirst(old.count)
            if rest.isEmpty || rest.first == "." { return new + rest }
        }
        return name
    }

    // MARK: - UNet

    private static let residual: KeyValuePairs = [
        "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
        "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
    ]
    private static let outer: KeyValuePairs = [
        "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
        "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
    ]

    /// Residual blocks of a level, told from the names: each level but the last ends with the halving of the size.
    static func layersPerBlock(_ names: some Sequence<String>) -> Int {
        let inputs = names.map { $0.split(separator: ".").map(String.init) }.filter { $0.first == "input_blocks" }
        func blocks(_ parts: [[String]]) -> [Int] { parts.compactMap { $0.count > 1 ? number($0[1]) : nil } }
        let halvings = blocks(inputs.filter { $0.count > 3 && $0[3] == "op" })
        return max(1, halvings.min().map { $0 - 1 } ?? blocks(inputs).max() ?? 1)
    }

    /// `input_blocks.1.1.norm.weight` → `down_blocks.0.attentions.0.norm.weight`.
    static func unet(_ name: String, layersPerBlock: Int) -> String {
        let parts = name.split(separator: ".").map(String.init), size = layersPerBlock + 1
        guard parts.count > 3, let block = number(parts[1]) else { return replaced(name, by: outer) }
        if parts[0] == "middle_block" { return middle(block, parts.dropFirst(2).joined(separator: ".")) }
        let rest = parts.dropFirst(3).joined(separator: "."), isResidual = parts[2] == "0"
        let inner = { (index: Int) in
            isResidual ? "resnets.\(index).\(replaced(rest, by: residual))" : "attentions.\(index).\(rest)"
        }
        switch (parts[0], parts[3]) {
        case ("input_blocks", _) where block == 0: return replaced(name, by: outer)
        case ("input_blocks", "op"):
            return "down_blocks.\((block - 1) / size).downsamplers.0.\(replaced(rest, by: ["op": "conv"]))"
        case ("input_blocks", _): return "down_blocks.\((block - 1) / size).\(inner((block - 1) % size))"
        case ("output_blocks", "conv"): return "up_blocks.\(block / size).upsamplers.0.\(rest)"
        case ("output_blocks", _): return "up_blocks.\(block / size).\(inner(block % size))"
        default: return name
        }
    }

    private static func middle(_ block: Int, _ rest: String) -> String {
        block == 1 ? "mid_block.attentions.0.\(rest)" : "mid_block.resnets.\(block / 2).\(replaced(rest, by: residual))"
    }

    // MARK: - Autoencoder

    private static let ends: KeyValuePairs = [
        "norm_out": "conv_norm_out", "mid.block_1": "mid_block.resnets.0", "mid.block_2": "mid_block.resnets.1",
        "mid.attn_1.norm": "mid_block.attentions.0.group_norm", "mid.attn_1.q": "mid_block.attentions.0.to_q",
        "mid.attn_1.k": "mid_block.attentions.0.to_k", "mid.attn_1.v": "mid_block.attentions.0.to_v",
        "mid.attn_1.proj_out": "mid_block.attentions.0.to_out.0",
    ]

    /// `decoder.up.3.block.0.nin_shortcut.bias` → `decoder.up_blocks.0.resnets.0.conv_shortcut.bias`, of 4 levels.
    static func autoencoder(_ name: String, levels: Int) -> String {
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, ["encoder", "decoder"].contains(parts[0]) else { return name }
        let renamed = replaced(parts[1], by: ends), path = renamed.split(separator: ".").map(String.init)
        guard path.count > 3, ["up", "down"].contains(path[0]), let level = number(path[1]) else {
            return "\(parts[0]).\(renamed.replacing("nin_shortcut", with: "conv_shortcut"))"
        }
        // The way up is counted from its end.
        let block = path[0] == "up" ? "up_blocks.\(levels - 1 - level)" : "down_blocks.\(level)"
        let rest = path.dropFirst(3).joined(separator: ".").replacing("nin_shortcut", with: "conv_shortcut")
        let kind = path[2] == "block" ? "resnets" : "\(path[2])rs.0"  // downsample, upsample
        return "\(parts[0]).\(block).\(kind).\(rest)"
    }

    // MARK: - Text encoder

    private static let openCLIP: KeyValuePairs = [
        "token_embedding": "embeddings.token_embedding", "ln_final": "final_layer_norm",
        "positional_embedding": "embeddings.position_embedding.weight",
    ]
    private static let openCLIPLayer: KeyValuePairs = [
        "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    ]

    /// Where a tensor of OpenCLIP's belongs, `transformer.resblocks.0.ln_1.bias` → `text_model.encoder.layers.0.
    /// layer_norm1.bias`; three places for the joined weights of query, key and value; none for what is not used.
    static func openCLIP(_ name: String, layers: Int) -> [String] {
        let unused = ["text_projection", "logit_scale", "attn_mask"]
        let parts = name.split(separator: ".", maxSplits: 3).map(String.init)
        guard parts.count == 4, parts[1] == "resblocks", let layer = number(parts[2]) else {
            return unused.contains(name) ? [] : ["text_model.\(replaced(name, by: openCLIP))"]
        }
        guard layer < layers else { return [] }
        let path = "text_model.encoder.layers.\(layer)"
        guard parts[3].hasPrefix("attn.in_proj_") else { return ["\(path).\(replaced(parts[3], by: openCLIPLayer))"] }
        return ["q", "k", "v"].map { "\(path).self_attn.\($0)_proj.\(parts[3].dropFirst("attn.in_proj_".count))" }
    }
}
