"""Ten steps of LoRA on the pocket model's UNet and text encoder, and the loss of velocity models, in fp64.

diffusers 0.42.1, transformers 5.23.0, peft 0.21.2, torch 2.11.0 -> Tests/Goldens/diffusion-curve.safetensors
python scripts/goldens/diffusion_curve.py

Each step has two latents with noise, timesteps, weights of the pictures and a mask; min-SNR-gamma is 5. The UNet learns
at 1e-2, the text encoder at 5e-3, both by a cosine with two steps of warm-up; gradients are clipped to a norm of 0.05.
"""
import math, pathlib, torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from transformers import CLIPTextModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE, STEPS, GAMMA = ROOT / "assets/pocket-emoji", 10, 5.0


def factors(index, shape, bound):  # as in diffusion.py
    count = torch.arange(math.prod(shape), dtype=torch.int64)
    values = ((count * 7919 + index * 104_729) % 2003 - 1001).double() / 1001 * bound
    return values.float().double().view(shape)


def adapted(model, targets):
    matches = [name for name, _ in model.named_modules() if name.split(".")[-1] in targets or name.endswith("to_out.0")]
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=3, target_modules=matches), model)
    trained = {key: value for key, value in model.named_parameters() if "lora_" in key}
    for place, key in enumerate(sorted(key.replace(".default", "") for key in trained)):
        value = trained[key.replace(".weight", ".default.weight")]
        bound = 1 / math.sqrt(value[0].numel()) if "lora_A" in key else 0.1
        value.data = factors(place, value.shape, bound)
        value.requires_grad_(True)
    return list(trained.values())


def batch(step):
    torch.manual_seed(100 + step)
    random = lambda *shape: torch.randn(shape, dtype=torch.float32).double()
    return {"latents": random(2, 4, 8, 6), "noise": random(2, 4, 8, 6), "timesteps": torch.randint(0, 1000, (2,)),
            "tokens": torch.randint(0, 1130, (2, 77)), "weights": torch.rand(2, dtype=torch.float32).double() + 0.5,
            "mask": torch.rand(2, 1, 8, 6, dtype=torch.float32).double()}


def loss_of(net, context, given, schedule):
    x, noise, t = given["latents"], given["noise"], given["timesteps"]
    y = net(schedule.add_noise(x, noise, t), t, context).sample
    snr = compute_snr(schedule, t)
    if schedule.config.prediction_type == "epsilon": target, weight = noise, torch.clamp(snr, max=GAMMA) / snr
    else: target, weight = schedule.get_velocity(x, noise, t), torch.clamp(snr, max=GAMMA) / (snr + 1)
    return ((y - target).square() * given["mask"]).mean((1, 2, 3)) * weight * given["weights"]


def models():
    net = UNet2DConditionModel.from_pretrained(BASE / "unet").double().requires_grad_(False)
    encoder = CLIPTextModel.from_pretrained(BASE / "text_encoder").double().requires_grad_(False)
    return net, encoder


def scheduler(**more):
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **more)
    schedule.alphas_cumprod = schedule.alphas_cumprod.double()
    return schedule


net, encoder = models()
groups = [{"params": adapted(net, {"to_q", "to_k", "to_v"}), "lr": 1e-2},
          {"params": adapted(encoder, {"q_proj", "v_proj"}), "lr": 5e-3}]
parameters = groups[0]["params"] + groups[1]["params"]
optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.05)
out, curve, schedule = {}, [], scheduler()
for step in range(STEPS):
    given = batch(step)
    out |= {f"{step}.{key}": value.float() for key, value in given.items()}
    loss = loss_of(net, encoder(given["tokens"]).last_hidden_state, given, schedule).mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.05)
    progress = (step - 2) / (STEPS - 2)
    factor = step / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * progress))
    for group, rate in zip(optimizer.param_groups, (1e-2, 5e-3)): group["lr"] = rate * factor
    optimizer.step()
    optimizer.zero_grad()
    curve.append([loss.item(), norm.item()])
out["curve"] = torch.tensor(curve)
net, encoder = models()
velocity = scheduler(prediction_type="v_prediction")
with torch.no_grad():
    given = batch(0)
    out["velocity"] = loss_of(net, encoder(given["tokens"]).last_hidden_state, given, velocity).sum().float()
print(curve, out["velocity"])
save_file(out, ROOT / "Tests/Goldens/diffusion-curve.safetensors")
