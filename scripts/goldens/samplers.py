"""Whole ways from noise to a latent of diffusers' schedulers, with a formula in the place of a model.

diffusers 0.42.1, torch 2.11.0, numpy 2.4.6 -> Tests/Goldens/samplers.safetensors
python scripts/goldens/samplers.py

Tensors are called SAMPLER/PREDICTION/SPACING/STEPS, with /zero behind for a schedule that ends in pure noise; each has
a row for every evaluation. The model answers 0.8 cos(0.3 x + t / 1000) + pattern.
"""
import pathlib, torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, PNDMScheduler)
from diffusers.schedulers import scheduling_euler_ancestral_discrete as ancestral
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
KINDS = {"ddim": (DDIMScheduler, dict(clip_sample=False, set_alpha_to_one=False)),
         "ddim_eta": (DDIMScheduler, dict(clip_sample=False)), "pndm": (PNDMScheduler, dict(skip_prk_steps=True)),
         "euler": (EulerDiscreteScheduler, {}), "euler_a": (EulerAncestralDiscreteScheduler, {}),
         "dpmpp_2m": (DPMSolverMultistepScheduler, {}),
         "dpmpp_2m_karras": (DPMSolverMultistepScheduler, dict(use_karras_sigmas=True))}
BASE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
torch.manual_seed(0)
start, pattern, noises = torch.randn(1, 2, 2, 3), 0.5 * torch.randn(1, 2, 2, 3), torch.randn(25, 1, 2, 2, 3)
saved = {"start": start, "pattern": pattern, "noises": noises}


def way(name, kind, steps, **options):
    Scheduler, more = KINDS[kind]
    scheduler = Scheduler(**BASE, **more, **options)
    scheduler.set_timesteps(steps)
    # Else the first of two equal timesteps would be passed over.
    if hasattr(scheduler, "set_begin_index"): scheduler.set_begin_index(0)
    x, rows = start * scheduler.init_noise_sigma, []
    for index, t in enumerate(scheduler.timesteps):
        answer = 0.8 * torch.cos(0.3 * scheduler.scale_model_input(x, t) + t.float() / 1000) + pattern
        noise = noises[min(index, 24)]
        ancestral.randn_tensor = lambda *_, **__: noise
        extra = dict(eta=0.7, variance_noise=noise) if kind == "ddim_eta" else {}
        x = scheduler.step(answer, t, x, **extra).prev_sample
        rows.append(x)
    saved[name] = torch.cat(rows)
    saved[f"{name}/timesteps"] = torch.as_tensor(scheduler.timesteps).float()
    saved[f"{name}/scale"] = torch.as_tensor(scheduler.init_noise_sigma).float().reshape(1)


for kind in KINDS:
    for prediction in ("epsilon", "v_prediction"):
        for spacing, counts in (("leading", (5, 20, 25)), ("trailing", (5, 12)), ("linspace", (5, 12))):
            for steps in counts:
                way(f"{kind}/{prediction}/{spacing}/{steps}", kind, steps, prediction_type=prediction,
                    timestep_spacing=spacing)
    if kind != "euler_a" and kind != "pndm":
        way(f"{kind}/sample/leading/20", kind, 20, prediction_type="sample", timestep_spacing="leading")
    if kind != "pndm":
        for steps in (5, 25):
            way(f"{kind}/v_prediction/trailing/{steps}/zero", kind, steps, prediction_type="v_prediction",
                timestep_spacing="trailing", rescale_betas_zero_snr=True)
save_file({key: value.contiguous() for key, value in saved.items()}, ROOT / "samplers.safetensors")
(ROOT / "samplers.safetensors").chmod(0o644)
print(len(saved), max(value.abs().max() for key, value in saved.items() if "timesteps" not in key))
