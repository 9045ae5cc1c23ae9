// What each program calls a picture adapter's tensors.
//
// kohya's keys: https://github.com/kohya-ss/sd-scripts/blob/main/networks/lora.py; those of diffusers, old and new:
// https://github.com/huggingface/diffusers/blob/main/src/diffusers/utils/state_dict_utils.py

/// The networks of Stable Diffusion that take adapters, by the prefix of their keys in diffusers.
public enum PictureNetwork: String, CaseIterable, Sendable {
    case unet
    case textEncoder = "text_encoder"
}

/// The names of one layer's tensors in a file.
struct PictureFactorNames: Equatable {
    /// (rank, inputs)
    let down: String
    /// (outputs, rank)
    let up: String
    /// α, where the format keeps one for each layer.
    var alpha: String?
}

/// How a file names its tensors.
public enum PictureKeys: String, CaseIterable, Sendable {
    /// sd-scripts', which AUTOMATIC1111, ComfyUI and diffusers read: `lora_unet_mid_block_…_to_q.lora_down.weight`.
    ///
    /// diffusers 0.42 finds a text encoder's attention here, and with its own old keys, only if `out_proj` is adapted.
    case kohya
    /// diffusers' from 0.22 on: `unet.mid_block.….to_q.lora.down.weight`.
    case diffusers
    /// diffusers' before: `unet.mid_block.….processor.to_q_lora.down.weight`.
    case diffusersOld = "diffusers-old"
    /// PEFT's with diffusers' prefixes: `unet.mid_block.….to_q.lora_A.weight`.
    case peft

    /// What may precede a layer's path; the first is what is written.
    private func prefixes(_ part: PictureNetwork) -> [String] {
        switch (self, part) {
        case (.kohya, .unet): ["lora_unet_"]
        case (.kohya, .textEncoder): ["lora_te_", "lora_te1_"]
        case (_, .unet): ["unet.", ""]  // without one in files of attention processors alone
        case (_, .textEncoder): ["text_encoder."]
        }
    }

    /// The names that are written for the layer at `path`.
    func names(_ path: String, of part: PictureNetwork) -> PictureFactorNames {
        names(path, of: part, prefix: prefixes(part)[0])
    }

    private func names(_ path: String, of part: PictureNetwork, prefix: String) -> PictureFactorNames {
        func both(_ stem: String) -> PictureFactorNames {
            PictureFactorNames(down: "\(stem)down.weight", up: "\(stem)up.weight")
        }
        switch self {
        case .kohya:
            let stem = prefix + path.replacing(".", with: "_")
            return PictureFactorNames(
                down: "\(stem).lora_down.weight", up: "\(stem).lora_up.weight", alpha: "\(stem).alpha")
        case .peft:
            return PictureFactorNames(down: "\(prefix)\(path).lora_A.weight", up: "\(prefix)\(path).lora_B.weight")
        case .diffusersOld:
            if let old = Self.oldAttention(path) { return both("\(prefix)\(old)_lora.") }
            fallthrough
        case .diffusers:
            // For every layer: diffusers converts a file only where its first key is not PEFT's.
            return both("\(prefix)\(path)." + (part == .unet ? "lora." : "lora_linear_layer."))
        }
    }

    /// `….attn1.to_out.0` → `….attn1.processor.to_out`, `….self_attn.q_proj` → `….self_attn.to_q`; nil for others.
    private static func oldAttention(_ path: String) -> String? {
        let parts = path.split(separator: ".")
        guard let place = parts.firstIndex(where: { ["attn1", "attn2", "self_attn"].contains($0) }) else { return nil }
        let (attention, projection) = (parts[...place].joined(separator: "."), parts[(place + 1)...])
        if parts[place] == "self_attn" {
            return "\(attention).to_\(projection.joined().replacing("_proj", with: ""))"
        }
        return "\(attention).processor.\(projection.first ?? "")"
    }

    /// Every set of names that the layer at `path` may have in a file.
    ///
    /// - Parameter original: its path in the code of latent diffusion, which some files of kohya's kind use.
    static func candidates(_ path: String, of part: PictureNetwork, original: String?) -> [PictureFactorNames] {
        // transformers 5 has no `text_model.` any more.
        let short = path.hasPrefix("text_model.") ? String(path.dropFirst(11)) : nil
        return allCases.flatMap { style in
            let paths = [path, short, style == .kohya ? original : nil].compactMap { $0 }
            return paths.flatMap { path in
                style.prefixes(part).map { style.names(path, of: part, prefix: $0) }
            }
        }
    }
}

/// The paths that a UNet's layers have in the code of latent diffusion, from those in diffusers.
///
/// The map is that of https://github.com/huggingface/diffusers/blob/main/scripts/convert_original_stable_diffusion_to_diffusers.py
struct LatentDiffusionPaths {
    /// Blocks that a level takes: its layers, and what halves or doubles the size.
    private let blocksPerLevel: Int
    /// Levels on the way up that attend to the text.
    private let attending: Set<Substring>

    /// - Parameter paths: those of all layers of the network.
    init(_ paths: [String]) {
        let parts = paths.map { $0.split(separator: ".") }.filter { $0.count > 3 }
        blocksPerLevel = 1 + Set(parts.filter { $0[0] == "down_blocks" && $0[2] == "resnets" }.map { $0[3] }).count
        attending = Set(parts.filter { $0[0] == "up_blocks" && $0[2] == "attentions" }.map { $0[1] })
    }

    /// `down_blocks.1.resnets.0.conv1` → `input_blocks.4.0.in_layers.2`; nil where there is no such layer.
    func callAsFunction(_ path: String) -> String? {
        if let name = Self.single[path] { return name }
        let parts = path.split(separator: ".")
        if parts.count > 3, parts[0] == "mid_block", let place = Int(parts[2]) {
            return "middle_block." + Self.inner(parts[1], parts[3...], block: parts[1] == "resnets" ? 2 * place : nil)
        }
        guard parts.count > 4, let level = Int(parts[1]), let place = Int(parts[3]) else { return nil }
        let (first, rest) = (level * blocksPerLevel, parts[4...])
        switch (parts[0], parts[2]) {
        case ("down_blocks", "downsamplers"): return "input_blocks.\(first + blocksPerLevel).0.op"
        case ("up_blocks", "upsamplers"):
            return "output_blocks.\(first + blocksPerLevel - 1).\(attending.contains(parts[1]) ? 2 : 1).conv"
        case ("down_blocks", let kind): return "input_blocks.\(first + place + 1)." + Self.inner(kind, rest)
        case ("up_blocks", let kind): return "output_blocks.\(first + place)." + Self.inner(kind, rest)
        default: return nil
        }
    }

    private static func inner(_ kind: Substring, _ rest: ArraySlice<Substring>, block: Int? = nil) -> String {
        let path = rest.joined(separator: ".")
        return kind == "resnets" ? "\(block ?? 0).\(residual[path] ?? path)" : "1.\(path)"
    }

    private static let single = [
        "conv_in": "input_blocks.0.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
    ]
    private static let residual = [
        "conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
        "conv_shortcut": "skip_connection",
    ]
}
