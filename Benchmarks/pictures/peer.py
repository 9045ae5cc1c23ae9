"""The peer of compare.py: diffusers' UNet with PEFT's LoRA, as diffusers' own training scripts use them.

usage: peer.py BASE_FOLDER --steps N --batch N --size PIXELS --rank N [--encode]   -> one JSON line

Latents and text states are drawn at random, as if cached; with --encode every step encodes pictures and texts, as the
usual scripts do. The base is read in fp32, the adapter sits on to_q, to_k, to_v and to_out.0.
"""
import time; begin = time.perf_counter()
import argparse, json, os, resource, statistics
import torch, torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig

parser = argparse.ArgumentParser()
parser.add_argument("base")
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--warmup", type=int, default=1)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--size", type=int, default=512)
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--encode", action="store_true")
options = parser.parse_args()
torch.manual_seed(0)

unet = UNet2DConditionModel.from_pretrained(os.path.join(options.base, "unet"), torch_dtype=torch.float32)
unet.requires_grad_(False)
layers = ["to_k", "to_q", "to_v", "to_out.0"]
unet.add_adapter(LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules=layers))
trained = [p for p in unet.parameters() if p.requires_grad]
if options.encode:
    from transformers import CLIPTextModel
    vae = AutoencoderKL.from_pretrained(os.path.join(options.base, "vae"), torch_dtype=torch.float32).requires_grad_(False)
    text = CLIPTextModel.from_pretrained(os.path.join(options.base, "text_encoder"), torch_dtype=torch.float32)
    text.requires_grad_(False)
schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
optimizer = torch.optim.AdamW(trained, lr=1e-4)
unet.train()
seconds, first = [], None
for step in range(options.steps + options.warmup):
    start = time.perf_counter()
    if options.encode:
        with torch.no_grad():
            pictures = torch.rand(options.batch, 3, options.size, options.size) * 2 - 1
            latents = vae.encode(pictures).latent_dist.sample() * vae.config.scaling_factor
            states = text(torch.randint(0, 1000, (options.batch, 77)))[0]
    else:
        latents = torch.randn(options.batch, 4, options.size // 8, options.size // 8)
        states = torch.randn(options.batch, 77, unet.config.cross_attention_dim)
    noise, times = torch.randn_like(latents), torch.randint(0, 1000, (options.batch,))
    loss = F.mse_loss(unet(schedule.add_noise(latents, noise, times), times, states).sample, noise)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
    if first is None: first = time.perf_counter() - begin
    if step >= options.warmup: seconds.append(time.perf_counter() - start)
print(json.dumps({"first": first, "step": statistics.median(seconds),
                  "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
