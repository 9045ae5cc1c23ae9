"""Picture LoRA side by side: `lora` against diffusers + PEFT, alternating, ratios at the end.

usage: compare.py --peer-python PYTHON [--config sd15|tiny] [--batch 1] [--size 512] [--rounds 2] [--steps 4]
                  [--peer SCRIPT] [--work FOLDER]

The base has random weights in the real shape, stored as fp16 as most bases are. The peer is peer.py beside this file
(with latents as if cached, and once more with --encode), or any script that prints one JSON line with `first_step_s`,
`step_s` and `rss_mib`. Ours learns from pictures in a folder; a run before fills its cache. The machine should do
nothing else meanwhile.
"""
import argparse, json, os, random, shutil, statistics, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
parser = argparse.ArgumentParser()
parser.add_argument("--peer-python", required=True)
parser.add_argument("--config", default="sd15")
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--size", type=int, default=512)
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--peer")
parser.add_argument("--work")
parser.add_argument("--device", default="cpu")
options = parser.parse_args()

MAKE_BASE = """
import sys, torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
folder, kind = sys.argv[1:]
torch.manual_seed(0)
real = kind == "sd15"
unet = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)) if real \\
    else dict(sample_size=64, cross_attention_dim=64, attention_head_dim=4, block_out_channels=(32, 64),
              layers_per_block=1, norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
              up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
vae = dict(block_out_channels=(128, 256, 512, 512) if real else (32, 32, 64, 64), layers_per_block=2 if real else 1,
           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=32)
text = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12) if real \\
    else dict(vocab_size=1200, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
UNet2DConditionModel(**unet).half().save_pretrained(folder + "/unet")
AutoencoderKL(**vae).half().save_pretrained(folder + "/vae")
CLIPTextModel(CLIPTextConfig(**text)).half().save_pretrained(folder + "/text_encoder")
"""
MAKE_PICTURE = """
import sys
from PIL import Image, ImageFilter
import random
folder, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for index in range(count):
    random.seed(index)
    small = Image.frombytes("RGB", (16, 16), bytes(random.randrange(256) for _ in range(768)))
    small.resize((size, size), Image.BICUBIC).save(f"{folder}/{index}.png")
    open(f"{folder}/{index}.txt", "w").write("emoji of red apple")
"""


def measured(command):
    begin = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(errors[-2000:])
    return begin, output, usage.ru_maxrss / 1024


def ours(folder):
    run = os.path.join(folder, f"run-{time.time_ns()}")
    config = os.path.join(folder, "bench.yaml")
    settings = {
        "base_model": os.path.join(folder, "base"), "train_data": os.path.join(folder, "data"), "output_dir": run,
        "resolution": options.size, "lora_rank": options.rank, "batch_size": options.batch, "save_steps": 0,
        "unet_target_modules": "[to_q, to_k, to_v, to_out.0]", "max_steps": options.steps + 1, "lr_scheduler": "constant",
        "warmup_steps": 0, "cache_dir": os.path.join(folder, "cache"), "device": options.device,
    }
    with open(config, "w") as file:
        file.writelines(f"{key}: {value}\n" for key, value in settings.items())
    begin, _, memory = measured([os.path.join(root, "lora"), "train", config])
    steps = [e for e in map(json.loads, open(os.path.join(run, "events.jsonl"))) if e["type"] == "step"]
    shutil.rmtree(run)
    return {"first": steps[0]["time"] - begin, "step": statistics.median(e["step_seconds"] for e in steps[1:]),
            "memory": memory}


def peer(folder, *more):
    if options.peer:
        command = [options.peer_python, options.peer, "--config", options.config, "--size", str(options.size)]
    else:
        command = [options.peer_python, os.path.join(here, "peer.py"), os.path.join(folder, "base"),
                   "--size", str(options.size), *more]
    command += ["--batch", str(options.batch), "--rank", str(options.rank), "--steps", str(options.steps)]
    result = json.loads(measured(command)[1].splitlines()[-1])
    names = {"first": "first_step_s", "step": "step_s", "memory": "rss_mib"}
    return {ours: result.get(ours, result.get(theirs)) for ours, theirs in names.items()}


def prepare(folder):
    base, data = os.path.join(folder, "base"), os.path.join(folder, "data")
    if os.path.exists(base):
        return
    os.makedirs(data)
    subprocess.run([options.peer_python, "-c", MAKE_PICTURE, data, str(options.size), str(2 * options.batch)], check=True)
    subprocess.run([options.peer_python, "-c", MAKE_BASE, base, options.config], check=True, capture_output=True)
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(os.path.join(root, "assets/pocket-emoji", part), os.path.join(base, part))
    ours(folder)  # fills the cache


folder = options.work or tempfile.mkdtemp()
try:
    prepare(folder)
    kinds = {"ours": lambda: ours(folder), "peer": lambda: peer(folder)}
    if not options.peer:
        kinds["usual"] = lambda: peer(folder, "--encode")
    runs = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind, run in kinds.items():
            runs[kind].append(run())
    medians = {kind: {key: statistics.median(run[key] for run in all_runs) for key in all_runs[0]}
               for kind, all_runs in runs.items()}
    titles = {"ours": "lora", "peer": "diffusers + PEFT, cached", "usual": "diffusers + PEFT, encoding every step"}
    print(f"{options.config}, {options.size} px, batch {options.batch}, rank {options.rank}, {options.rounds} rounds")
    for kind, figures in medians.items():
        line = f"{titles[kind]:40} step {figures['step']:8.3f} s  first {figures['first']:7.2f} s  {figures['memory']:6.0f} MiB"
        if kind != "ours":
            own = medians["ours"]
            line += (f"   ours: step {figures['step'] / own['step']:.2f} x as fast, first {own['first'] / figures['first']:.2f} x,"
                     f" memory {own['memory'] / figures['memory']:.2f} x")
        print(line)
finally:
    if not options.work:
        shutil.rmtree(folder)
