"""Adapters on the tiny models: logits, loss, gradients, ten steps, answers -> Tests/Goldens/peft-*/

torch 2.11.0, transformers 5.23.0, peft 0.21.2, safetensors 0.8.0
(after llama.py) HF_HUB_OFFLINE=1 python scripts/goldens/peft_adapters.py
"""
import os, pathlib, torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
SETS = {  # fresh: B is zero, as PEFT starts; else random, so that every gradient is there from the start
    "qv": (True, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "all": (False, dict(r=3, lora_alpha=5, target_modules="all-linear", use_rslora=True)),
}


def batch(sequences, labels):  # as users of transformers have it: padded on the right, masked
    pad = lambda rows, value: torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    mask = pad([torch.ones_like(row) for row in sequences], 0)
    return dict(input_ids=pad(sequences, 0), attention_mask=mask, labels=pad(labels, -100))


for kind in ["tied", "mistral", "qwen2", "gguf"]:
    base = ROOT / f"llama-{kind}"
    given = load_file(base / "expected.safetensors")
    sequences = given["tokens"].split(given["lengths"].tolist())
    torch.manual_seed(5)
    labels = [torch.where(torch.rand(len(row)) < 0.6, row, -100) for row in sequences]
    for name, (fresh, options) in SETS.items():
        torch.manual_seed(6)
        file = {"gguf_file": "model.gguf"} if kind == "gguf" else {}
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, **file)
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options))
        model.peft_config["default"].base_model_name_or_path = f"llama-{kind}"
        trained = {key.replace(".default", ""): value for key, value in model.named_parameters() if value.requires_grad}
        for key, value in trained.items():
            if not fresh and "lora_B" in key: torch.nn.init.normal_(value, 0, 0.1)
        folder = ROOT / f"peft-{kind}-{name}"
        model.save_pretrained(folder)
        (folder / "README.md").unlink()
        saved = {"labels": torch.cat(labels)}
        saved["logits"] = torch.cat([model(row[None]).logits[0] for row in sequences]).detach()
        for place, row in enumerate(sequences):
            answer = model.generate(input_ids=row[None], attention_mask=torch.ones_like(row)[None], do_sample=False,
                                    max_new_tokens=16, eos_token_id=2, pad_token_id=0)[0, len(row):]
            saved[f"answer.{place}"] = answer[answer != 2].clone()
        saved["loss"] = model(**batch(sequences, labels)).loss
        saved["loss"].backward()
        saved |= {f"gradient.{key}": value.grad.clone() for key, value in trained.items()}
        optimizer = torch.optim.AdamW(trained.values(), lr=2e-2, betas=(0.9, 0.98), weight_decay=0.05)
        schedule = get_cosine_schedule_with_warmup(optimizer, 2, 10)
        steps = []
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
        save_file({key: value.detach() for key, value in saved.items()}, folder / "expected.safetensors")
        for path in folder.iterdir(): os.chmod(path, 0o644)
        print(kind, name, float(saved["loss"]), *[f"{loss:.3f}/{norm:.2f}" for loss, norm, _ in steps])
