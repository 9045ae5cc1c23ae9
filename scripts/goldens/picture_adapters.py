"""Picture adapters in every program's keys, and what diffusers computes with them -> Tests/Goldens/picture-adapters/

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, peft 0.21.2, safetensors 0.8.0
(after diffusion.py) HF_HUB_OFFLINE=1 python scripts/goldens/picture_adapters.py

Random factors on the models of diffusion.py, computed in fp64. Those of kohya are added to the weights, as the
programs do that his files are for; with one α, diffusers' loader agrees. `alphas` has another α, or none, in each
layer.
"""
import json, os, pathlib, shutil, torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
from diffusers.utils import convert_state_dict_to_diffusers, logging
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()
ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "Tests/Goldens/picture-adapters"
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
LINEAR = ATTENTION + ["ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]
MOST = LINEAR + ["conv1", "time_emb_proj", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "conv_in",
                 "conv_out", "linear_1", "linear_2"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj"]
FEED = TEXT + ["fc1", "fc2"]


def models(kind):
    folder = ROOT / ("assets/pocket-emoji" if kind == "pocket" else f"Tests/Goldens/diffusion-{kind}/model")

    def weights(part):
        found = {}
        for file in sorted((folder / part).glob("*.safetensors")): found |= load_file(file)
        return found

    net = UNet2DConditionModel.from_config(json.loads((folder / "unet/config.json").read_text()))
    net.load_state_dict(weights("unet"))
    encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
    kept = {key.removeprefix("text_model."): value for key, value in weights("text_encoder").items()}
    encoder.load_state_dict({key: kept[key] for key in encoder.state_dict()})
    return [model.double().eval().requires_grad_(False) for model in (net, encoder)]


def layers(model, ends):
    return {name: part for name, part in model.named_modules()
            if hasattr(part, "weight") and any(name == end or name.endswith(f".{end}") for end in ends)}


def factors(layer, rank):  # large enough to change the output, small enough not to drown it
    shape = layer.weight.shape
    inputs = layer.weight[0].numel()
    return torch.randn(rank, *shape[1:]) / inputs ** 0.5, 0.2 * torch.randn(shape[0], rank, *[1] * (len(shape) - 2))


def kohya(net, encoder, targets, alpha):  # as sd-scripts' network of these layers saves it
    tensors, place = {}, 0
    for prefix, model, ends in [("lora_unet", net, targets[0]), ("lora_te_text_model", encoder, targets[1])]:
        for name, layer in layers(model, ends).items():
            rank, stem, place = 2 + place % 3, f"{prefix}_{name.replace('.', '_')}", place + 1
            down, up = factors(layer, rank)
            tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
            if value := alpha(place): tensors[f"{stem}.alpha"] = torch.tensor(value)
    return tensors


def merged(net, encoder, tensors):  # ΔW = up · down · α / rank
    tensors = {key: value.double() for key, value in tensors.items()}
    for prefix, model in [("lora_unet", net), ("lora_te_text_model", encoder)]:
        for name, layer in model.named_modules():
            stem = f"{prefix}_{name.replace('.', '_')}"
            if (down := tensors.get(f"{stem}.lora_down.weight")) is None: continue
            up, scale = tensors[f"{stem}.lora_up.weight"], tensors.get(f"{stem}.alpha", len(down)) / len(down)
            layer.weight.data += (up.flatten(1) @ down.flatten(1)).view_as(layer.weight) * scale


def old(net, encoder, targets):  # as attention processors were saved
    tensors = {}
    for name, layer in layers(net, targets[0]).items():
        parent, projection = name.rsplit(".to_", 1)
        down, up = factors(layer, 2)
        stem = f"unet.{parent}.processor.to_{projection.removesuffix('.0')}_lora"
        tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
    for name, layer in layers(encoder, targets[1]).items():
        down, up = factors(layer, 2)
        stem = f"text_encoder.text_model.{name.replace('q_proj', 'to_q').replace('k_proj', 'to_k')}"
        stem = stem.replace("v_proj", "to_v").replace("out_proj", "to_out") + "_lora"
        tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
    return tensors


def trained(model, ends, **options):  # as diffusers' training scripts make it
    config = LoraConfig(target_modules=list(layers(model, ends)), **options)
    model = inject_adapter_in_model(config, model)
    for key, value in model.named_parameters():
        if "lora_B" in key: value.data = 0.2 * torch.randn_like(value)
    state = {key: value.float() for key, value in get_peft_model_state_dict(model).items()}
    return state, config.to_dict() | {"target_modules": sorted(config.target_modules)}


def by_diffusers(kind, file):
    net, encoder = models(kind)
    state, alphas, metadata = Loader.lora_state_dict(file, return_lora_metadata=True)
    Loader.load_lora_into_unet(state, alphas, net, metadata=metadata)
    if any(key.startswith("text_encoder.") for key in state):
        Loader.load_lora_into_text_encoder(state, alphas, encoder, metadata=metadata)
    return net.double(), encoder.double()


@torch.no_grad()
def computed(kind, net, encoder):
    given = {}
    folder = ROOT / f"Tests/Goldens/diffusion-{kind}"
    for file in sorted(folder.glob("expected*.safetensors")): given |= load_file(file)
    text = encoder(given["tokens"]).last_hidden_state
    return {"text": text, "y": net(given["odd.x"].double(), given["odd.timesteps"], text).sample}


def away(one, other): return max(float((one[key] - other[key]).abs().max() / other[key].abs().max()) for key in one)


def save(name, kind, tensors, dtype, metadata=None, merges=False):
    file = OUT / f"{name}.safetensors"
    save_file({key: value.to(dtype).contiguous() for key, value in tensors.items()}, file, metadata)
    if merges:
        net, encoder = models(kind)
        merged(net, encoder, load_file(file))
        expected = computed(kind, net, encoder)
        # With an α for each layer, diffusers 0.42.1 forgets those of attention: its own answer is off by a fifth then.
        print(f"{name}: diffusers' loader is off by {away(computed(kind, *by_diffusers(kind, file)), expected):.1e}")
    else: expected = computed(kind, *by_diffusers(kind, file))
    plain = computed(kind, *models(kind))
    print(f"{name}: {len(tensors)} tensors change text and prediction by {away(expected, plain):.2f} of the largest")
    save_file({key: value.float() for key, value in expected.items()}, OUT / f"{name}.expected.safetensors")


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
torch.manual_seed(21)
net, encoder = models("sd1")
save("kohya", "sd1", kohya(net, encoder, (MOST, FEED), lambda place: 3.0), torch.float16, merges=True)
save("alphas", "sd1", kohya(net, encoder, (LINEAR + ["conv_in"], []), lambda place: place % 4 and place % 4 + 0.3),
     torch.float32, merges=True)
save("old", "sd1", old(net, encoder, (ATTENTION, TEXT)), torch.bfloat16)
pocket = models("pocket")
some = [f"attn2.{name}" for name in ATTENTION] + ["proj_in"]
save("pocket", "pocket", kohya(*pocket, (some, TEXT), lambda place: 2.0), torch.float16, merges=True)
for name, ends, options, convert in [
    ("new", ATTENTION, dict(r=2, lora_alpha=2), convert_state_dict_to_diffusers),
    ("peft", LINEAR + ["conv_shortcut"],
     dict(r=3, lora_alpha=5, use_rslora=True, alpha_pattern={"to_q": 2, "attn2.to_v": 1}), dict),
]:
    net, encoder = models("sd1")
    state, config = trained(net, ends, **options)
    text, text_config = trained(encoder, FEED if name == "peft" else TEXT, r=2, lora_alpha=3 if name == "peft" else 2)
    text = {f"text_model.{key}": value for key, value in text.items()}
    known = {} if name == "new" else dict(
        unet_lora_adapter_metadata=config, text_encoder_lora_adapter_metadata=text_config)
    folder = OUT / "saved"
    StableDiffusionPipeline.save_lora_weights(folder, convert(state), convert(text), **known)
    with safe_open(folder / "pytorch_lora_weights.safetensors", "pt") as file: metadata = file.metadata()
    save(name, "sd1", load_file(folder / "pytorch_lora_weights.safetensors"), torch.float32, metadata)
    shutil.rmtree(folder)
for path in OUT.iterdir():
    os.chmod(path, 0o644)
    assert path.stat().st_size <= 200_000, (path, path.stat().st_size)
