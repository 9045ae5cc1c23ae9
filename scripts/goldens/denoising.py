"""Whole ways from noise to latents on the pocket model, guided, by each of diffusers' schedulers, in fp64.

diffusers 0.42.1, transformers 5.23.0, torch 2.11.0 -> Tests/Goldens/denoising.safetensors
HF_HUB_OFFLINE=1 python scripts/goldens/denoising.py

NAME has the latents before each evaluation and after the last, for schedulers made from the model's own configuration.
"""
import pathlib, torch
from diffusers import (AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, PNDMScheduler, UNet2DConditionModel)
from diffusers.schedulers import scheduling_euler_ancestral_discrete as ancestral
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE, STEPS, GUIDANCE = ROOT / "assets/pocket-emoji", 8, 4.0
KINDS = {"ddim": (DDIMScheduler, {}), "pndm": (PNDMScheduler, {}), "euler": (EulerDiscreteScheduler, {}),
         "euler_a": (EulerAncestralDiscreteScheduler, {}), "dpmpp_2m": (DPMSolverMultistepScheduler, {}),
         "dpmpp_2m_karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True})}
torch.manual_seed(3)
noise, draws = torch.randn(1, 4, 8, 8), torch.randn(STEPS, 1, 4, 8, 8)
out = {"noise": noise, "draws": draws}
tokenizer = CLIPTokenizer.from_pretrained(BASE / "tokenizer")
ids = tokenizer(["blurry", "emoji of owl, animal bird"], padding="max_length", max_length=77, return_tensors="pt").input_ids
out["ids"] = ids
with torch.no_grad():
    states = CLIPTextModel.from_pretrained(BASE / "text_encoder").double()(ids).last_hidden_state
    unet = UNet2DConditionModel.from_pretrained(BASE / "unet").double()
    for name, (Kind, more) in KINDS.items():
        scheduler = Kind.from_pretrained(BASE / "scheduler", **more)
        scheduler.set_timesteps(STEPS)
        x, rows = noise.double() * scheduler.init_noise_sigma, []
        for index, t in enumerate(scheduler.timesteps):
            rows.append(x)
            both = scheduler.scale_model_input(torch.cat([x, x]), t)
            negative, positive = unet(both, t, states).sample.chunk(2)
            ancestral.randn_tensor = lambda *_, **__: draws[index].double()
            x = scheduler.step(negative + GUIDANCE * (positive - negative), t, x).prev_sample
        out[name] = torch.cat(rows + [x]).float()
    vae = AutoencoderKL.from_pretrained(BASE / "vae").double()
    out["picture"] = vae.decode(out["ddim"][-1:].double() / vae.config.scaling_factor).sample.float()
save_file(out, ROOT / "Tests/Goldens/denoising.safetensors")
(ROOT / "Tests/Goldens/denoising.safetensors").chmod(0o644)
print({name: value.abs().max().item() for name, value in out.items()})
