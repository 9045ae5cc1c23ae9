"""SmolLM2 with transformers and PEFT: what our side is compared with, and a check of what our side wrote.

torch 2.11.0, transformers 5.23.0, peft 0.21.2, gguf 0.19.0, safetensors 0.8.0
smollm2.py prepare MODEL.gguf DATA.jsonl FOLDER   two adapters, logits, loss, gradients, ten steps each
smollm2.py check MODEL.gguf FOLDER                loads the adapters we trained and compares logits
"""
import json, os, pathlib, sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup

SETS = {  # fresh: B is zero, as PEFT starts; else random, so that every gradient is there from the start
    "qv": (True, dict(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])),
    "all": (False, dict(r=8, lora_alpha=16, target_modules="all-linear", use_rslora=True)),
}


def base(path):  # expanded to fp32, as transformers reads it
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


def samples(path, data):  # the first four questions and answers; the loss is on the answers
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for line in data.read_text().splitlines()[:4]:
        record = json.loads(line)
        question, answer = record.get("instruction") or record.get("prompt"), record.get("output") or record.get("completion")
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        text = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        asked, row = tokenizer.encode(text), tokenizer.encode(whole)
        yield torch.tensor(row), torch.tensor([-100] * len(asked) + row[len(asked):])


def batch(sequences, labels):
    pad = lambda rows, value: torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    mask = pad([torch.ones_like(row) for row in sequences], 0)
    return dict(input_ids=pad(sequences, 0), attention_mask=mask, labels=pad(labels, -100))


def gradients(loss, trained):
    return dict(zip(trained, torch.autograd.grad(loss, list(trained.values()))))


def precise_loss(model, inputs):  # torch's fp32 log-softmax of 49,152 logits is off by 2 in a million, which shows
    shifted, labels = model(**inputs).logits[:, :-1], inputs["labels"][:, 1:]
    return torch.nn.functional.cross_entropy(shifted.double().flatten(0, 1), labels.flatten(), ignore_index=-100)


@torch.no_grad()
def logits(model, sequences):
    return torch.cat([model(row[None]).logits[0] for row in sequences])


def prepare(path, data, out):
    sequences, labels = zip(*samples(path, data))
    out.mkdir(parents=True, exist_ok=True)
    given = {"tokens": torch.cat(sequences), "lengths": torch.tensor([len(row) for row in sequences])}
    save_file(given | {"logits": logits(base(path), sequences)}, out / "expected.safetensors")
    for name, (fresh, options) in SETS.items():
        torch.manual_seed(0)
        model = get_peft_model(base(path), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options))
        trained = {key.replace(".default", ""): value for key, value in model.named_parameters() if value.requires_grad}
        for key, value in trained.items():
            if not fresh and "lora_B" in key: torch.nn.init.normal_(value, 0, 0.02)
        model.save_pretrained(out / name)
        saved = {"labels": torch.cat(labels), "logits": logits(model, sequences)}
        inputs = batch(sequences, labels)
        saved["loss"] = model(**inputs).loss
        exact, own = gradients(precise_loss(model, inputs), trained), gradients(saved["loss"], trained)
        away = [(own[key] - exact[key]).norm() / exact[key].norm() for key in trained if exact[key].norm() > 0]
        print(f"{name}: PEFT's gradients change by {max(away):.1e} of their norm at most with an fp64 log-softmax, taken here")
        saved |= {f"gradient.{key}": value for key, value in exact.items()}
        optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05)
        schedule, steps = get_cosine_schedule_with_warmup(optimizer, 2, 10), []
        for step in range(10):
            chosen = [step % 4, (step + 2) % 4]
            optimizer.zero_grad()
            loss = model(**batch([sequences[i] for i in chosen], [labels[i] for i in chosen])).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(trained.values(), 2.0)
            steps.append([loss.item(), norm.item(), schedule.get_last_lr()[0]])
            optimizer.step(); schedule.step()
        saved["steps"] = torch.tensor(steps, dtype=torch.float64)
        saved |= {f"final.{key}": value.detach().clone() for key, value in trained.items()}
        save_file({key: value.detach() for key, value in saved.items()}, out / name / "expected.safetensors")
        print(name, *[f"{loss:.4f}" for loss, _, _ in steps])


def check(path, out):
    given = load_file(out / "expected.safetensors")
    sequences = given["tokens"].split(given["lengths"].tolist())
    for name in SETS:
        model = PeftModel.from_pretrained(base(path), out / f"ours-{name}")
        ours = load_file(out / f"ours-{name}/logits.safetensors")["logits"]
        print(f"{name}: our adapter in PEFT: logits differ by {(logits(model, sequences) - ours).abs().max():.2e} at most")


{"prepare": prepare, "check": check}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
