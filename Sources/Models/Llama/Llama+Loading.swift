// Loading a LLaMA-family model from a Hugging Face folder or a GGUF file.
//
// The table of GGUF's names is that of
// https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py

import Formats
import Foundation
import NN
import Torch

extension Llama {
    /// Loads a base model, memory-mapped where the device allows it.
    public static func load(_ url: URL, on placement: Placement) throws -> Llama {
        switch try ModelLocation.identify(url) {
        case .huggingFace(let folder):
            return try filled(LlamaConfig(folder: folder), huggingFace(folder), on: placement)
        case .gguf(let file):
            let gguf = try GGUFFile(file)
            let config = try LlamaConfig(gguf: gguf)
            return try filled(config, ggufModel(gguf, config), on: placement)
        case .safetensors(let file):
            throw ModelError.config(
                file: file.path, problem: "a single safetensors file says nothing of its model; name its folder"
            )
        }
    }

    private static func filled(_ config: LlamaConfig, _ stored: StoredModel, on placement: Placement) throws -> Llama {
        let model = Llama(config, on: placement)
        try stored.load(into: model, on: placement)
        return model
    }

    private static func huggingFace(_ folder: URL) throws -> StoredModel {
        let files = try SafetensorsFolder(folder)
        // Old conversions stored the rotary tables, and tied heads a second time; both are derived here.
        let ties = try LlamaConfig(folder: folder).tiesEmbeddings
        let tensors = files.tensors.filter { key, _ in
            !key.hasSuffix("rotary_emb.inv_freq") && !(ties && key == "lm_head.weight")
        }
        return StoredModel(name: folder.path, sources: tensors.mapValues { WeightSource($0) })
    }

    private static func ggufModel(_ gguf: GGUFFile, _ config: LlamaConfig) -> StoredModel {
        var sources: [String: WeightSource] = [:]
        for (name, tensor) in gguf.tensors where !name.hasPrefix("rope_freqs.") {
            let isInterleaved =
                config.architecture == "llama" && (name.contains(".attn_q.") || name.contains(".attn_k."))
            let head = isInterleaved ? config.headSize : 0
            sources[GGUFNames.huggingFace(name) ?? name] = WeightSource(tensor, interleavedHead: head)
        }
        return StoredModel(name: gguf.file.url.path, sources: sources)
    }
}

/// Names of a LLaMA-family model's tensors in GGUF files and in Hugging Face's.
enum GGUFNames {
    private static let outer = [
        "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    ]
    private static let inner = [
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ]

    /// `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`; nil for a name that the table lacks.
    static func huggingFace(_ name: String) -> String? {
        let parts = name.split(separator: ".").map(String.init)
        if parts.count == 2, let module = outer[parts[0]] { return "\(module).\(parts[1])" }
        guard parts.count == 4, parts[0] == "blk", let module = inner[parts[2]] else { return nil }
        return "model.layers.\(parts[1]).\(module).\(parts[3])"
    }
}
