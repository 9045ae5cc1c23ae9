"""Stable Diffusion's parts, and LoRA on them, by diffusers and PEFT -> Tests/Goldens/diffusion-*/

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, peft 0.21.2, safetensors 0.8.0
HF_HUB_OFFLINE=1 python scripts/goldens/diffusion.py

Three models: assets/pocket-emoji, and two tiny random ones, which lie beside their goldens and are stored in the ways
that folders differ: sd1 sharded, with the autoencoder's old names as convolutions, and text keys without prefix; sd2 as
sharded fp16 variant, with matrices for projections, other numbers of heads at each level, and GELU. Everything is
computed in fp64, so that a comparison sees the rounding of one side alone. The adapters' factors follow from a formula,
see `factors`; what is expected is cut into files of about 150 kB.
"""
import json, math, os, pathlib, shutil, torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from diffusers.utils import logging
from huggingface_hub import split_torch_state_dict_into_shards
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()
ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 150_000
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
SETS = {  # the part that is adapted, and its layers by the ends of their paths
    "attention": ("unet", ATTENTION),
    "linear": ("unet", ATTENTION + ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]),
    "convolution": ("unet", ["conv1", "conv2", "downsamplers.0.conv"]),
    "text": ("text", ["q_proj", "v_proj"]),
}
FEWER = {"sd1": ["convolution", "text"], "sd2": ["linear"]}  # sets of the tiny models
# Height, width and timesteps of latents; 9 x 7 and 5 x 12 do not halve evenly.
CASES = {"square": (8, 8, [1, 500]), "odd": (9, 7, [999, 37]), "wide": (5, 12, [250, 0]), "one": (8, 16, [640])}


def seeded(make, seed):  # norms and biases start at 1 and 0, and attention at even weights, which would hide mistakes
    torch.manual_seed(seed)
    model = make()
    for name, value in model.named_parameters():
        if value.dim() == 2 and any(part in name for part in ["to_q", "to_k", "q_proj", "k_proj"]): value.data *= 4
        if value.dim() == 1: torch.nn.init.normal_(value, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
    return model


def sharded(tensors, folder, stem, suffix=".safetensors", index=".safetensors.index.json"):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    split = split_torch_state_dict_into_shards(
        tensors, filename_pattern=stem + "{suffix}" + suffix, max_shard_size=LIMIT)
    for file, keys in split.filename_to_tensors.items():
        save_file({key: tensors[key] for key in keys}, folder / file, {"format": "pt"})
    if split.is_sharded:
        content = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / (stem + index)).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def unet(**changes):
    down = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8, 16, 16), layers_per_block=2, norm_num_groups=4, cross_attention_dim=12,
        down_block_types=down, up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3, **changes)


def text(**changes):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=60, hidden_size=12, intermediate_size=40, max_position_embeddings=16, num_attention_heads=3,
        bos_token_id=58, eos_token_id=59, pad_token_id=59, **changes))


def autoencoder():
    return AutoencoderKL(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, sample_size=16,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2)


def make_sd1(folder):
    net = seeded(lambda: unet(attention_head_dim=2), 1).half()
    net.save_config(folder / "unet")
    sharded(net.state_dict(), folder / "unet", "diffusion_pytorch_model")
    old, stored = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}, {}
    for key, value in seeded(autoencoder, 2).state_dict().items():
        for new, name in old.items():
            if new in key and value.dim() == 2: value = value[:, :, None, None]
            key = key.replace(new, name)
        stored[key] = value
    autoencoder().save_config(folder / "vae")
    sharded(stored, folder / "vae", "diffusion_pytorch_model")
    model = seeded(lambda: text(num_hidden_layers=2), 3).bfloat16()
    model.config.save_pretrained(folder / "text_encoder")
    stored = {key.removeprefix("text_model."): value for key, value in model.state_dict().items()}
    stored["embeddings.position_ids"] = torch.arange(16)[None]
    sharded(stored, folder / "text_encoder", "model")


def make_sd2(folder):
    net = seeded(lambda: unet(
        attention_head_dim=[2, 4, 8, 8], use_linear_projection=True, transformer_layers_per_block=[1, 2, 1, 1]), 4)
    net.half().save_config(folder / "unet")
    variant = dict(suffix=".fp16.safetensors", index=".safetensors.index.fp16.json")
    sharded(net.state_dict(), folder / "unet", "diffusion_pytorch_model", **variant)
    seeded(autoencoder, 5).half().save_pretrained(folder / "vae", variant="fp16")
    model = seeded(lambda: text(num_hidden_layers=3, hidden_act="gelu"), 6).half()
    model.config.save_pretrained(folder / "text_encoder")
    stored = {"text_model." + key.removeprefix("text_model."): value for key, value in model.state_dict().items()}
    sharded(stored, folder / "text_encoder", "model", **variant)


def loaded(folder, dtype):  # from what was stored; the tiny ones without their disguises
    def weights(part):
        found = {}
        for file in sorted((folder / part).glob("*.safetensors")): found |= load_file(file)
        return found

    net = UNet2DConditionModel.from_config(json.loads((folder / "unet/config.json").read_text()))
    net.load_state_dict(weights("unet"))
    vae = AutoencoderKL.from_config(json.loads((folder / "vae/config.json").read_text()))
    new = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
    kept = {}
    for key, value in weights("vae").items():
        for old, name in new.items(): key = key.replace(old, name)
        kept[key] = value.reshape(vae.state_dict()[key].shape)
    vae.load_state_dict(kept)
    encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
    kept = {key.removeprefix("text_model."): value for key, value in weights("text_encoder").items()}
    encoder.load_state_dict({key: kept[key.removeprefix("text_model.")] for key in encoder.state_dict()})
    return [model.to(dtype).eval().requires_grad_(False) for model in (net, vae, encoder)]


def factors(index, shape, bound):  # whole numbers from -1001 to 1001, as a part of `bound`; the tests have the same
    count = torch.arange(math.prod(shape), dtype=torch.int64)
    values = ((count * 7919 + index * 104_729) % 2003 - 1001).double() / 1001 * bound
    return values.float().view(shape)


def adapted(model, targets):  # rank 2; layers in the order of their paths, two indices each
    matches = [name for name, part in model.named_modules()
               if any(name == end or name.endswith("." + end) for end in targets)]
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=3, target_modules=matches), model)
    trained = {key.replace(".default", ""): value for key, value in model.named_parameters() if "lora_" in key}
    for place, key in enumerate(sorted(trained)):
        value = trained[key]
        bound = 1 / math.sqrt(value[0].numel()) if "lora_A" in key else 0.1
        value.data = factors(place, value.shape, bound).to(value.dtype)
        value.requires_grad_(True)
    return {key.removeprefix("text_model."): value for key, value in trained.items()}


def write(folder, tensors):
    kept = {key: value.detach().float() if value.is_floating_point() else value for key, value in tensors.items()}
    sharded(kept, folder, "expected")


def plain(folder, out):  # the three parts alone
    net, vae, encoder = loaded(folder, torch.float64)
    torch.manual_seed(9)
    random = lambda *shape: torch.randn(shape, dtype=torch.float32).double()
    given = {"tokens": torch.randint(0, encoder.config.vocab_size, (2, encoder.config.max_position_embeddings))}
    out_text = encoder(given["tokens"], output_hidden_states=True)
    norm = getattr(encoder, "text_model", encoder).final_layer_norm
    given |= {"text": out_text.last_hidden_state, "text.skipped": norm(out_text.hidden_states[-2])}
    context = given["text"].float().double()
    for name, (height, width, steps) in CASES.items():
        x, t = random(len(steps), 4, height, width), torch.tensor(steps)
        y = net(x, t, context[:len(steps)]).sample
        given |= {f"{name}.x": x, f"{name}.timesteps": t, f"{name}.y": y}
    pictures = random(1, 3, 37, 51).clamp(-1, 1)
    posterior = vae.encode(pictures).latent_dist
    latents = random(1, 4, 3, 5)
    given |= {"pictures": pictures, "mean": posterior.mean, "deviation": posterior.std, "latents": latents,
              "decoded": vae.decode(latents).sample, "noise": random(2, 4, 9, 7)}
    write(out, given)
    return given


def training(folder, given, name, dtype):  # the loss that LoRA on Stable Diffusion minimises, and every gradient
    net, _, encoder = loaded(folder, dtype)
    given = {key: value.float().to(dtype) if value.is_floating_point() else value for key, value in given.items()}
    part, targets = SETS[name]
    trained = adapted(net if part == "unet" else encoder, targets)
    context = encoder(given["tokens"]).last_hidden_state if part == "text" else given["text"]
    y = net(given["odd.x"], given["odd.timesteps"], context).sample
    loss = torch.nn.functional.mse_loss(y, given["noise"])
    loss.backward()
    return {"y": y, "loss": loss} | {f"gradient.{key}": value.grad for key, value in trained.items()}


def report(title, exact, rounded):  # what fp32 costs the reference itself
    away = [float((rounded[key] - value).norm() / value.norm()) for key, value in exact.items() if "lora" in key]
    print(f"{title}: loss {exact['loss'].item():.4f}; PEFT's own {len(away)} gradients in fp32 are off by "
          f"{max(away):.1e} of their norm at most")


for kind in ["pocket", "sd1", "sd2"]:
    out = ROOT / f"Tests/Goldens/diffusion-{kind}"
    shutil.rmtree(out, ignore_errors=True)
    folder = out / "model"
    if kind == "pocket": folder = ROOT / "assets/pocket-emoji"
    else:
        {"sd1": make_sd1, "sd2": make_sd2}[kind](folder)
        PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
                      steps_offset=1).save_config(folder / "scheduler")
    given = plain(folder, out)
    for name in FEWER.get(kind, SETS):
        exact, rounded = (training(folder, given, name, dtype) for dtype in [torch.float64, torch.float32])
        write(out / name, exact)
        report(f"{kind}, {name}", exact, rounded)
    for path in out.rglob("*"):
        if path.is_file():
            os.chmod(path, 0o644)
            assert path.stat().st_size <= 200_000, (path, path.stat().st_size)
