"""From diffusers' names to those of the original code, for single files; ldm.py checks it with diffusers' converters."""
import re, torch

RESIDUAL = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
            "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
PLAIN = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
         "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
OPEN = [("encoder.layers.", "transformer.resblocks."), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
        ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("self_attn.out_proj", "attn.out_proj"),
        ("final_layer_norm", "ln_final"), ("embeddings.token_embedding", "token_embedding"),
        ("embeddings.position_embedding.weight", "positional_embedding")]


def unet(state, layers):
    def place(name):
        path, kind = name.rsplit(".", 1)
        if path in PLAIN: return f"{PLAIN[path]}.{kind}"
        way, block, module, index, rest = re.match(
            r"(\w+)_blocks?\.?(\d*)\.(\w+)\.(\d+)\.?(.*)\.\w+$", name).groups()
        block, index, size = int(block or 0), int(index), layers + 1
        if module == "resnets": rest = RESIDUAL[rest]
        if module == "downsamplers": return f"input_blocks.{size * (block + 1)}.0.op.{kind}"
        if module == "upsamplers":
            has_attention = f"up_blocks.{block}.attentions.0.norm.weight" in state
            return f"output_blocks.{size * block + layers}.{2 if has_attention else 1}.conv.{kind}"
        slot = int(module == "attentions")
        if way == "mid": return f"middle_block.{1 if slot else 2 * index}.{rest}.{kind}"
        number = size * block + index + (way == "down")
        return f"{'input' if way == 'down' else 'output'}_blocks.{number}.{slot}.{rest}.{kind}"

    return {"model.diffusion_model." + place(name): value for name, value in state.items()}


def autoencoder(state, levels):
    placed = {}
    for name, value in state.items():
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        turn = lambda match: str(levels - 1 - int(match[1]))
        name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{turn(m)}.block", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{turn(m)}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if "mid_block.attentions" in name:
            for new, old in {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}.items():
                name = name.replace("mid_block.attentions.0." + new, "mid.attn_1." + old)
            if value.dim() == 2: value = value[:, :, None, None]
        placed["first_stage_model." + name] = value
    return placed


def clip(state):
    return {"cond_stage_model.transformer.text_model." + name.removeprefix("text_model."): value
            for name, value in state.items()}


def open_clip(state):
    placed = {}
    for name, value in state.items():
        name = name.removeprefix("text_model.")
        if ".self_attn.q_proj." in name:
            joined = torch.cat([state_value(state, name.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")])
            name, value = name.replace("self_attn.q_proj.", "attn.in_proj_"), joined
        elif ".self_attn.k_proj." in name or ".self_attn.v_proj." in name: continue
        for new, old in OPEN: name = name.replace(new, old)
        placed["cond_stage_model.model." + name] = value
    return placed


def state_value(state, name): return state[name] if name in state else state["text_model." + name]
