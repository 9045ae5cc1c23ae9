"""Tiny models of every kind that is read, their logits and greedy answers -> Tests/Goldens/llama-*/

torch 2.11.0, transformers 5.23.0, safetensors 0.8.0, gguf 0.19.0, numpy 2.4.6
python scripts/goldens/llama.py
"""
import os, pathlib, torch
from llama_gguf import save_gguf
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM)

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
LENGTHS = [11, 1, 37, 6]
SIZES = dict(vocab_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, initializer_range=0.15,
             max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
KINDS = {
    "tied": (LlamaForCausalLM, torch.bfloat16, LlamaConfig(
        hidden_size=64, intermediate_size=96, tie_word_embeddings=True, rope_parameters=LLAMA3, **SIZES)),
    "mistral": (MistralForCausalLM, torch.float16, MistralConfig(
        hidden_size=64, intermediate_size=96, head_dim=16, sliding_window=None, rms_norm_eps=1e-5, **SIZES)),
    "qwen2": (Qwen2ForCausalLM, torch.float32, Qwen2Config(
        hidden_size=32, intermediate_size=64, rms_norm_eps=1e-6, tie_word_embeddings=False, **SIZES)),
}

for number, (kind, (Model, dtype, config)) in enumerate(KINDS.items()):
    torch.manual_seed(number)
    folder = ROOT / f"llama-{kind}"
    model = Model(config)
    for name, parameter in model.named_parameters():  # norms and biases start at 1 and 0, which would hide mistakes
        if parameter.dim() == 1: torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.2)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    if kind == "mistral": (ROOT / "llama-gguf").mkdir(exist_ok=True); save_gguf(model, config, ROOT / "llama-gguf")
for kind in [*KINDS, "gguf"]:
    folder, file = ROOT / f"llama-{kind}", {"gguf_file": "model.gguf"} if kind == "gguf" else {}
    torch.manual_seed(9)
    sequences = torch.randint(3, 128, (sum(LENGTHS),)).split(LENGTHS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **file).eval()
    saved = {"tokens": torch.cat(sequences), "lengths": torch.tensor(LENGTHS)}
    saved["logits"] = torch.cat([model(sequence[None]).logits[0] for sequence in sequences]).detach()
    for place, sequence in enumerate(sequences):
        answer = model.generate(sequence[None], attention_mask=torch.ones_like(sequence)[None], do_sample=False,
                                max_new_tokens=16, eos_token_id=2, pad_token_id=0)[0, len(sequence):]
        saved[f"answer.{place}"] = answer[answer != 2].clone()
    save_file(saved, folder / "expected.safetensors")
    for path in folder.iterdir(): os.chmod(path, 0o644)
    print(kind, saved["logits"].abs().max(), [saved[f"answer.{place}"].tolist() for place in range(4)])
