"""Text LoRA side by side: `lora` against transformers + PEFT, the same batches, alternating, ratios at the end.

usage: compare.py --gguf MODEL.gguf --folder HF_DIR --data DATA.jsonl --peer-python PYTHON [--rounds 2] [--steps 13]

Three settings: the peer (padded), ours padded as the peer is, ours as it comes (nothing padded). The machine should do
nothing else meanwhile. The first 3 steps of a run are warm-up and do not count.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
parser = argparse.ArgumentParser()
parser.add_argument("--gguf", required=True)
parser.add_argument("--folder", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--peer-python", required=True)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--steps", type=int, default=13)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--targets", default="q_proj,v_proj")
options = parser.parse_args()
warm_up, mask = 3, (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed & mask

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)


def ours(folder, packing):
    run = os.path.join(folder, f"run-{time.time_ns()}")
    config = os.path.join(folder, "bench.yaml")
    settings = {
        "base_model": os.path.abspath(options.gguf), "train_data": os.path.abspath(options.data), "output_dir": run,
        "lora_rank": 8, "target_modules": "[" + options.targets + "]", "batch_size": options.batch, "max_length": 256,
        "learning_rate": "2e-4", "lr_scheduler": "constant", "warmup_steps": 0, "max_steps": options.steps,
        "packing": str(packing).lower(), "save_steps": 0, "seed": 42,
    }
    with open(config, "w") as file:
        file.writelines(f"{key}: {value}\n" for key, value in settings.items())
    begin = time.time()
    done = subprocess.run([os.path.join(root, "lora"), "train", config], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    steps = [e for e in map(json.loads, open(os.path.join(run, "events.jsonl"))) if e["type"] == "step"]
    facts = json.load(open(os.path.join(run, "facts.json")))
    seconds = [e["step_seconds"] for e in steps]
    return {
        "first": steps[0]["time"] - begin, "seconds": seconds, "losses": [e["loss"] for e in steps],
        "tokens": [round(e["tokens_per_second"] * e["step_seconds"]) for e in steps], "memory": facts["peak_memory_mib"],
    }


def peer(folder, order):
    path = os.path.join(folder, "order.json")
    json.dump(order, open(path, "w"))
    command = [options.peer_python, os.path.join(here, "peer.py"), options.folder, options.data, "--order", path]
    command += ["--steps", str(options.steps), "--batch", str(options.batch), "--targets", options.targets]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def epoch_order(count, seed, epoch):
    """As BatchPlan.order in Sources/Datasets has it."""
    mixer = SplitMix64(seed)
    stream = SplitMix64(mixer.next() ^ ((epoch * 0xD6E8FEB86659FD93) & mask))
    return permutation(count, stream)


def permutation(count, stream):
    order = list(range(count))
    for place in range(count - 1, 0, -1):
        other = below(place + 1, stream)
        order[place], order[other] = order[other], order[place]
    return order


def below(bound, stream):
    """Lemire, arXiv:1805.10941."""
    while True:
        product = stream.next() * bound
        if product & mask >= bound or product & mask >= (-bound & mask) % bound:
            return product >> 64


def summary(runs):
    seconds = [s for run in runs for s in run["seconds"][warm_up:]]
    tokens = [t for run in runs for t in run["tokens"][warm_up:]]
    return {
        "tokens_per_second": sum(tokens) / sum(seconds), "step": statistics.median(seconds),
        "first": statistics.median(run["first"] for run in runs), "memory": max(run["memory"] for run in runs),
    }


with tempfile.TemporaryDirectory() as folder:
    count = sum(1 for line in open(options.data) if line.strip())
    epochs = 1 + options.steps * options.batch // count
    order = [i for epoch in range(epochs) for i in epoch_order(count, 42, epoch)]
    ours(folder, True)  # builds the program and reads the model from the disk once
    runs = {"peer": [], "padded": [], "packed": []}
    for _ in range(options.rounds):
        runs["padded"].append(ours(folder, False))
        runs["peer"].append(peer(folder, order))
        runs["packed"].append(ours(folder, True))

figures = {name: summary(all_runs) for name, all_runs in runs.items()}
apart = [abs(a - b) / b for a, b in zip(runs["padded"][0]["losses"][:1], runs["peer"][0]["losses"][:1])]
same = runs["padded"][0]["tokens"] == runs["peer"][0]["tokens"]
print(f"batches {'identical' if same else 'DIFFERENT'}; first loss {apart[0]:.1e} apart (adapters start alike: B is zero)")
print(f"{'':28}{'tokens/s':>10}{'step s':>9}{'first s':>9}{'MiB':>8}")
titles = {"peer": "transformers + PEFT, padded", "padded": "lora, padded alike", "packed": "lora, nothing padded"}
for name, title in titles.items():
    f = figures[name]
    print(f"{title:28}{f['tokens_per_second']:10.1f}{f['step']:9.3f}{f['first']:9.2f}{f['memory']:8.0f}")
p = figures["peer"]
for name in ("padded", "packed"):
    f = figures[name]
    print(
        f"{titles[name]:28} tokens/s {f['tokens_per_second'] / p['tokens_per_second']:.2f} x, "
        f"first step {f['first'] / p['first']:.2f} x, memory {f['memory'] / p['memory']:.2f} x"
    )
