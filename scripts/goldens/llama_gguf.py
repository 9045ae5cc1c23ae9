"""A tiny model as a GGUF file; part of llama.py, which see for versions and command."""
from gguf import GGMLQuantizationType as Type, GGUFWriter, quants


def save_gguf(model, config, folder):
    """Rows of query and key in llama.cpp's order, and types as mixed as files have them."""
    writer = GGUFWriter(folder / "model.gguf", "llama")
    writer.add_embedding_length(64); writer.add_feed_forward_length(96); writer.add_block_count(2)
    writer.add_head_count(4); writer.add_head_count_kv(2); writer.add_context_length(512)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps); writer.add_rope_freq_base(10000.0); writer.add_vocab_size(128)
    kinds = {"attn_q": Type.Q4_0, "attn_k": Type.Q8_0, "attn_v": Type.F32, "attn_output": Type.Q8_0, "ffn_gate": Type.F16,
             "ffn_up": Type.Q5_0, "ffn_down": Type.Q4_1, "token_embd": Type.Q8_0, "output": Type.BF16}
    names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
             "up_proj": "ffn_up", "down_proj": "ffn_down", "input_layernorm": "attn_norm", "embed_tokens": "token_embd",
             "post_attention_layernorm": "ffn_norm", "norm": "output_norm", "lm_head": "output"}
    for key, value in model.state_dict().items():
        parts, array = key.split("."), value.float().numpy()
        name = names[parts[-2]]
        if name in ("attn_q", "attn_k"):
            array = array.reshape(4 if name == "attn_q" else 2, 2, 8, 64).swapaxes(1, 2).reshape(array.shape)
        kind = kinds.get(name, Type.F32)
        full = f"blk.{parts[2]}.{name}.weight" if "layers" in parts else f"{name}.weight"
        writer.add_tensor(full, quants.quantize(array.copy(), kind), raw_dtype=kind)
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
