"""Stable Diffusion 1 and 2 as single files in the original layout -> Tests/Goldens/ldm-*

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, safetensors 0.8.0
HF_HUB_OFFLINE=1 python scripts/goldens/ldm.py

Tiny random models with what diffusers computes with them in fp64: ldm-sd1/model.ckpt, pickled within `state_dict`, with
averaged weights beside; ldm-sd2/model.safetensors, whose text encoder has OpenCLIP's names and a layer that is not used.
ldm-names.json has the names of Stable Diffusion 1.5. All names are checked with diffusers' own converters.
"""
import json, os, pathlib, shutil, torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as official
from diffusers.utils import logging
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel
import ldm_names

logging.set_verbosity_error()
GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"


def seeded(model, seed):  # norms and biases start at 1 and 0, which would hide mistakes
    torch.manual_seed(seed)
    for name, value in model.named_parameters():
        if value.dim() == 1: torch.nn.init.normal_(value, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
        else: torch.nn.init.normal_(value, 0, 0.3 if value.dim() == 2 else 0.1)
    return model.half().requires_grad_(False)


def models(kind):
    second = kind == "sd2"
    net = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16 if second else 8), layers_per_block=1, norm_num_groups=8, cross_attention_dim=8,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        attention_head_dim=1 if second else 8, use_linear_projection=second)
    vae = AutoencoderKL(
        block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=4, sample_size=16,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=40, hidden_size=8, intermediate_size=24, max_position_embeddings=12, num_attention_heads=1,
        num_hidden_layers=2, bos_token_id=38, eos_token_id=39, hidden_act="gelu" if second else "quick_gelu"))
    return [seeded(model, seed) for seed, model in enumerate([net, vae, text])]


def check(file, net, vae, text, layers, second):  # the official converters give back what we began with
    def same(one, other, model):
        bare = lambda state: {key.removeprefix("text_model."): value for key, value in state.items()
                              if "text_projection" not in key and "position_ids" not in key}
        one, other = bare(one), bare(other)
        assert one.keys() == other.keys(), (model, one.keys() ^ other.keys())
        for key, value in one.items():
            assert value.is_meta or torch.equal(value.reshape(other[key].shape), other[key]), key

    config = dict(layers_per_block=layers, **{key: vae.config[key] for key in ("down_block_types", "up_block_types")})
    same(official.convert_ldm_unet_checkpoint(file, config), net.state_dict(), "unet")
    same(official.convert_ldm_vae_checkpoint(file, config), vae.state_dict(), "vae")
    if second:
        count = text.config.num_hidden_layers  # the last layer in the file is left out, as 23 of 24 are
        official.SD_2_TEXT_ENCODER_KEYS_TO_IGNORE = [key for key in file if f"resblocks.{count}." in key]
        same(official.convert_open_clip_checkpoint(text, file), text.state_dict(), "text")
    else: same(official.convert_ldm_clip_checkpoint(file), text.state_dict(), "text")


@torch.no_grad()
def expected(net, vae, text):
    net, vae, text = (model.double().eval() for model in (net, vae, text))
    torch.manual_seed(9)
    tokens = torch.randint(0, 40, (1, 12))
    states = text(tokens).last_hidden_state
    x, pictures, latents = (torch.randn(shape).double() for shape in [(1, 4, 6, 4), (1, 3, 10, 8), (1, 4, 3, 2)])
    posterior = vae.encode(pictures).latent_dist
    made = {"tokens": tokens, "text": states, "x": x, "y": net(x, torch.tensor([601]), states).sample,
            "pictures": pictures, "mean": posterior.mean, "latents": latents, "decoded": vae.decode(latents).sample}
    return {key: (value.float() if value.is_floating_point() else value).contiguous() for key, value in made.items()}


def tiny(kind):
    folder = GOLDENS / f"ldm-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    net, vae, text = models(kind)
    file = ldm_names.unet(net.state_dict(), 1) | ldm_names.autoencoder(vae.state_dict(), 2)
    file["betas"] = torch.linspace(0, 1, 4)
    if kind == "sd1":
        file |= ldm_names.clip(text.state_dict())
        file["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(12)[None]
        file |= {"model_ema.decay": torch.tensor(0.9), "model_ema.diffusion_modelout2bias": torch.zeros(4)}
    else:
        file |= ldm_names.open_clip(text.state_dict())
        prefix = "cond_stage_model.model."
        for key in [key for key in file if ".resblocks.1." in key]:
            file[key.replace(".1.", ".2.")] = torch.full_like(file[key], float("nan"))
        file |= {prefix + "text_projection": torch.zeros(8, 8), prefix + "logit_scale": torch.tensor(1.0)}
    check(file, net, vae, text, 1, kind == "sd2")
    file = {key: value.contiguous() for key, value in file.items()}
    if kind == "sd1": torch.save({"state_dict": file, "global_step": 470000, "epoch": 1}, folder / "model.ckpt")
    else: save_file(file, folder / "model.safetensors", {"format": "pt"})
    save_file(expected(net, vae, text), folder / "expected.safetensors")


def names():
    with torch.device("meta"):
        net = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)
        text = CLIPTextModel(CLIPTextConfig(num_hidden_layers=12))
    file = ldm_names.unet(net.state_dict(), 2) | ldm_names.autoencoder(vae.state_dict(), 4)
    check(file | ldm_names.clip(text.state_dict()), net, vae, text, 2, False)
    pairs = dict(zip(file, list(net.state_dict()) + list(vae.state_dict())))
    modules = {key.rsplit(".", 1)[0]: value.rsplit(".", 1)[0] for key, value in pairs.items()}
    (GOLDENS / "ldm-names.json").write_text(json.dumps(modules, indent=0, sort_keys=True) + "\n")


for kind in ["sd1", "sd2"]: tiny(kind)
names()
text = load_file(GOLDENS / "diffusion-sd2/model/text_encoder/model.fp16.safetensors")
torch.save(text, GOLDENS / "ldm-sd2/pytorch_model.fp16.bin")  # one part of a folder, as they were before safetensors
for path in [GOLDENS / "ldm-names.json", *GOLDENS.glob("ldm-sd*/*")]:
    os.chmod(path, 0o644)
    print(path.relative_to(GOLDENS), path.stat().st_size)
    assert path.stat().st_size <= 200_000
