"""The peer's side of the text benchmark: transformers + PEFT on the batches that `lora` trains on.

usage: peer.py MODEL_DIR DATA.jsonl --order ORDER.json [--steps N] [--batch N] [--max-length N] [--rank N]
                                     [--targets q_proj,v_proj] [--learning-rate X]

Prints one JSON line: seconds to the first step and of each step, real tokens and losses of each step, peak memory.
Tried with torch 2.11.0, transformers 5.23, peft 0.21.2.
"""
import time

started = time.perf_counter()
import argparse
import json
import resource

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("data")
parser.add_argument("--order", required=True)
parser.add_argument("--steps", type=int, default=13)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--max-length", type=int, default=256)
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--targets", default="q_proj,v_proj")
parser.add_argument("--learning-rate", type=float, default=2e-4)
options = parser.parse_args()

torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(options.model)
model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
adapter = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules=options.targets.split(","), task_type="CAUSAL_LM")
model = get_peft_model(model, adapter).train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=options.learning_rate, weight_decay=0.0)


def encode(record):
    turns = [{"role": "user", "content": record["instruction"]}]
    prompt = tokenizer.apply_chat_template(turns, tokenize=True, add_generation_prompt=True, return_dict=False)
    answer = tokenizer(record["output"] + "<|im_end|>\n", add_special_tokens=False)["input_ids"]
    tokens = (prompt + answer)[: options.max_length]
    return tokens, ([-100] * len(prompt) + answer)[: options.max_length]


samples = [encode(json.loads(line)) for line in open(options.data)]
order = json.load(open(options.order))
seconds, tokens, losses, first = [], [], [], None
for step in range(options.steps):
    batch = [samples[i] for i in order[step * options.batch : (step + 1) * options.batch]]
    longest = max(len(t) for t, _ in batch)
    pad = lambda row, value: row + [value] * (longest - len(row))
    ids = torch.tensor([pad(t, tokenizer.pad_token_id or 0) for t, _ in batch])
    labels = torch.tensor([pad(l, -100) for _, l in batch])
    mask = torch.tensor([pad([1] * len(t), 0) for t, _ in batch])
    begin = time.perf_counter()
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
    seconds.append(time.perf_counter() - begin)
    first = first or time.perf_counter() - started
    tokens.append(sum(len(t) for t, _ in batch))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"first": first, "seconds": seconds, "tokens": tokens, "losses": losses, "memory": peak}))
