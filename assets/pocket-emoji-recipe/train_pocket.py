"""Trains pocket-emoji: a Stable Diffusion 1.x shaped model, 64 x 64 pixels, about 12 million parameters.

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, safetensors 0.8.0, Pillow
python train_pocket.py DATA_DIR OUT_DIR [--vae-minutes 25] [--unet-minutes 65] [--device cuda]

DATA_DIR is what make_emoji.py writes for 64 pixels. OUT_DIR becomes a diffusers folder (fp16 safetensors). Parts, names
of keys and noise schedule are Stable Diffusion 1.5's; the widths and the vocabulary are small.
"""
import argparse, collections, csv, json, math, os, random, re, shutil, time
import numpy as np, torch
from diffusers import AutoencoderKL, DDPMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("out")
parser.add_argument("--vae-minutes", type=float, default=25)
parser.add_argument("--unet-minutes", type=float, default=65)
parser.add_argument("--work", default="pocket-work")
parser.add_argument("--device", default="cpu")
a = parser.parse_args()
os.makedirs(a.work, exist_ok=True)
torch.manual_seed(7)
random.seed(7)

rows = list(csv.DictReader(open(os.path.join(a.data, "metadata.csv"), encoding="utf8")))
read = lambda name: torch.from_numpy(np.asarray(Image.open(os.path.join(a.data, name)).convert("RGB")).copy())
x = torch.stack([read(row["filename"]) for row in rows]).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(a.device)
prompts, N = [row["prompt"].lower() for row in rows], len(rows)


def cosine(t): return 0.5 * (1 + math.cos(math.pi * min(1, t)))


# --- a byte-level BPE vocabulary as CLIP's, learnt from the captions

def byte_chars():
    codes = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars, extra = codes[:], 0
    for byte in range(256):
        if byte not in codes: codes.append(byte); chars.append(256 + extra); extra += 1
    return [chr(char) for _, char in sorted(zip(codes, chars), key=lambda pair: chars.index(pair[1]))]


def merged(parts, pair):
    out, i = [], 0
    while i < len(parts):
        fits = i + 1 < len(parts) and (parts[i], parts[i + 1]) == pair
        out.append(parts[i] + parts[i + 1] if fits else parts[i])
        i += 2 if fits else 1
    return tuple(out)


def learn_bpe(target):
    chars = byte_chars()
    vocab = chars + [char + "</w>" for char in chars]
    words = collections.Counter(w for p in prompts for w in re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", p))
    split = {w: tuple(w[:-1]) + (w[-1] + "</w>",) for w in words if all(c in chars for c in w)}
    merges = []
    while len(vocab) < target - 2:
        pairs = collections.Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]): pairs[pair] += words[word]
        if not pairs: break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2: break
        merges.append(best)
        vocab.append("".join(best))
        split = {word: merged(parts, best) for word, parts in split.items()}
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    folder = os.path.join(a.work, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf8") as file:
        json.dump({token: i for i, token in enumerate(vocab)}, file, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf8") as file:
        file.write("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


tok = learn_bpe(3072)
print("vocabulary", len(tok), tok("emoji of red apple, food fruit")["input_ids"])
encode = lambda texts: tok(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
ids, empty = encode(prompts).to(a.device), encode([""]).to(a.device)

# --- the autoencoder: a latent for 8 x 8 pixels, four channels

vae = AutoencoderKL(in_channels=3, out_channels=3, latent_channels=4, sample_size=64, layers_per_block=1,
                    block_out_channels=(32, 64, 96, 96), norm_num_groups=16,
                    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4).to(a.device)
print("autoencoder M", sum(p.numel() for p in vae.parameters()) / 1e6)


def edges(image):
    parts = image[..., 1:, :] - image[..., :-1, :], image[..., :, 1:] - image[..., :, :-1]
    return torch.cat([part.flatten(1) for part in parts], 1)


def train_vae():
    opt, start, step = torch.optim.AdamW(vae.parameters(), lr=1e-3, weight_decay=1e-4), time.time(), 0
    while (done := (time.time() - start) / 60 / a.vae_minutes) < 1:
        for group in opt.param_groups: group["lr"] = 1e-3 * min(1, (step + 1) / 100) * (0.02 + 0.98 * cosine(done))
        batch = x[torch.randint(0, N, (8,))]
        if random.random() < .5: batch = batch.flip(-1)
        posterior = vae.encode(batch).latent_dist
        made = vae.decode(posterior.sample()).sample
        loss = (made - batch).abs().mean() + 0.5 * (edges(made) - edges(batch)).abs().mean()
        loss = loss + 3e-4 * posterior.kl().mean() / 256
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        step += 1
        if step % 100 == 0: print(f"autoencoder {step} {loss.item():.4f} {done:.2f}", flush=True)


kept = os.path.join(a.work, "vae.pt")
if os.path.exists(kept): vae.load_state_dict(torch.load(kept))
else: train_vae(); torch.save(vae.state_dict(), kept)
vae.eval()
with torch.no_grad():  # moments of every picture, and of its mirror image
    found = [vae.encode(part).latent_dist for every in (x, x.flip(-1)) for part in every.split(64)]
    mu, sd = torch.cat([d.mean for d in found]), torch.cat([d.std for d in found])
    print("autoencoder L1", float((vae.decode(mu[:N][:64]).sample - x[:64]).abs().mean()))
vae.register_to_config(scaling_factor=round(1.0 / float(torch.sqrt(mu.var() + (sd ** 2).mean())), 5))
scale = vae.config.scaling_factor

# --- text encoder and UNet, trained together

text = CLIPTextModel(CLIPTextConfig(
    vocab_size=len(tok), hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
    max_position_embeddings=77, projection_dim=128, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id,
    pad_token_id=tok.pad_token_id)).to(a.device)
unet = UNet2DConditionModel(
    sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(64, 128, 192),
    cross_attention_dim=128, attention_head_dim=4, norm_num_groups=32,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")).to(a.device)
print("UNet and text encoder M", sum(p.numel() for part in (unet, text) for p in part.parameters()) / 1e6)
SCHEDULE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
sched, params = DDPMScheduler(**SCHEDULE), list(unet.parameters()) + list(text.parameters())
opt = torch.optim.AdamW(params, lr=8e-4, weight_decay=1e-2, betas=(0.9, 0.99))
ema = [p.detach().clone() for p in params]
snr = (sched.alphas_cumprod / (1 - sched.alphas_cumprod)).to(a.device)
weights = snr.clamp(max=5.0) / snr  # min-SNR (arXiv:2303.09556)


def save():  # the averaged parameters
    live = [p.detach().clone() for p in params]
    for p, average in zip(params, ema): p.data.copy_(average)
    noise = PNDMScheduler(**SCHEDULE, skip_prk_steps=True, steps_offset=1)
    StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tok, unet=unet, scheduler=noise, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False).to(torch.float16).save_pretrained(a.out)
    path = os.path.join(a.out, "scheduler", "scheduler_config.json")
    config = json.load(open(path)) | dict(clip_sample=False, set_alpha_to_one=False)  # as SD 1.5; clipping washes out
    json.dump(config, open(path, "w"), indent=2)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(os.path.join(a.work, "tokenizer", name), os.path.join(a.out, "tokenizer", name))
    path = os.path.join(a.out, "text_encoder", "model.safetensors")
    stored = load_file(path)  # transformers 5 leaves the prefix out; Stable Diffusion folders have it
    save_file({"text_model." + k.removeprefix("text_model."): v for k, v in stored.items()}, path, {"format": "pt"})
    for model in (vae, text, unet): model.float()
    for p, value in zip(params, live): p.data.copy_(value)


start = last = time.time()
step, mean = 0, None
while (done := (time.time() - start) / 60 / a.unet_minutes) < 1:
    for group in opt.param_groups: group["lr"] = 8e-4 * min(1, (step + 1) / 200) * (0.01 + 0.99 * cosine(done))
    B = 48
    i = torch.randint(0, N, (B,))
    place = i + (torch.rand(B) < 0.25).long() * N
    z = (mu[place] + sd[place] * torch.randn_like(mu[place])) * scale
    noise, t = torch.randn_like(z), torch.randint(0, 1000, (B,), device=a.device)
    tokens = ids[i].clone()
    tokens[torch.rand(B) < 0.1] = empty[0]
    guess = unet(sched.add_noise(z, noise, t), t, text(tokens).last_hidden_state).sample
    loss = (((guess - noise) ** 2).mean((1, 2, 3)) * weights[t]).mean()
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    step += 1
    torch._foreach_lerp_(ema, [p.detach() for p in params], 1 - min(0.999, (1 + step) / (10 + step)))
    mean = loss.item() if mean is None else mean * .98 + loss.item() * .02
    if step % 100 == 0: print(f"UNet {step} {mean:.4f} {done:.3f}", flush=True)
    if time.time() - last > 900: save(); last = time.time()
save()
print("saved after", step, "steps")
