"""Files of picture adapters that this project wrote, loaded by diffusers: predictions and pictures must be the same.

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, peft 0.21.2, safetensors 0.8.0
picture_adapters.py FOLDER given     writes what both compute with
picture_adapters.py FOLDER compare   loads FOLDER/*.safetensors and compares with FOLDER/*.ours.safetensors

Every file must load without a key left over. kohya's hashes are computed again with safetensors' own writer.
"""
import hashlib, os, pathlib, sys

os.environ["HF_HUB_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

folder, phase = pathlib.Path(sys.argv[1]), sys.argv[2]
base = pathlib.Path(__file__).resolve().parents[2] / "assets/pocket-emoji"


def pipeline():
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32, safety_checker=None)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def computed(pipe, given):
    text = pipe.text_encoder(given["tokens"]).last_hidden_state
    picture = pipe(prompt_embeds=text[1:], negative_prompt_embeds=text[:1], latents=given["latents"], guidance_scale=5,
                   num_inference_steps=10, height=64, width=64, output_type="pt").images
    y = pipe.unet(given["latents"], torch.tensor([500]), text[1:]).sample
    return {"text": text, "y": y, "picture": picture}


def away(one, other): return float((one - other).abs().max() / other.abs().max())


def hashes(file):
    with safe_open(file, "pt") as opened: metadata = opened.metadata()
    data = save(load_file(file), {key: value for key, value in metadata.items() if key.startswith("ss_")})
    tensors = data[8 + int.from_bytes(data[:8], "little"):]
    assert metadata["sshs_model_hash"] == hashlib.sha256(tensors).hexdigest()
    assert metadata["sshs_legacy_hash"] == hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]


def compare():
    given, worst = load_file(folder / "given.safetensors"), 0
    plain = computed(pipeline(), given)
    for file in sorted(folder.glob("*.ours.safetensors")):
        name = file.name.removesuffix(".ours.safetensors")
        stored, ours = folder / f"{name}.safetensors", load_file(file)
        if name.startswith("kohya"): hashes(stored)
        pipe = pipeline()
        pipe.load_lora_weights(folder, weight_name=stored.name, adapter_name="x")
        if name == "kohya-weaker": pipe.set_adapters("x", {"unet": 0.6, "text_encoder": 0.3})
        if name == "none": pipe.set_adapters("x", 0.0)
        parts = [part for model in (pipe.unet, pipe.text_encoder) for part in model.modules()]
        adapted = sum(isinstance(part, LoraLayer) for part in parts)
        pairs = sum(key.endswith(("down.weight", "lora_A.weight")) for key in load_file(stored))
        assert adapted == pairs, f"{name}: diffusers adapts {adapted} layers of {pairs}"
        theirs = computed(pipe, given)
        ours["picture"] = ours["picture"].clamp(0, 1)
        distances = {key: away(ours[key], theirs[key]) for key in theirs}
        worst = max([worst, *distances.values()])
        print(f"{name:18} {adapted} layers, {stored.stat().st_size:7} bytes; off by "
              + ", ".join(f"{key} {value:.1e}" for key, value in distances.items())
              + f"; the picture changes by {away(theirs['picture'], plain['picture']):.2f}")
    assert worst <= 1e-4, f"off by {worst:.1e}, more than 1e-4 of the largest value"


if phase == "given":
    tokenizer = pipeline().tokenizer
    texts = tokenizer(["", "a red apple"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    torch.manual_seed(4)
    save_file({"tokens": texts, "latents": torch.randn(1, 4, 8, 8)}, folder / "given.safetensors")
else: compare()
