"""lora::linear's result and every gradient, by plain PyTorch -> Tests/Goldens/kernels-{linear,packed,mixed}.safetensors

torch 2.11.0, numpy 2.4.6, gguf 0.19.0, safetensors 0.8.0
python scripts/goldens/kernels_linear.py
"""
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(7)
rng = np.random.default_rng(7)
random = lambda *shape: torch.randn(shape, requires_grad=True)

def packed(kind, rows, columns, places, scale):
    """Random blocks whose scales lie at `places`, and the floats they stand for."""
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows, columns // elements, size), dtype=np.uint8)
    for place in places:
        halves = rng.normal(0, scale, (rows, columns // elements, 1)).astype(np.float16)
        blocks[..., place : place + 2] = halves.view(np.uint8)
    return torch.from_numpy(blocks.reshape(-1)), torch.from_numpy(dequantize(blocks.reshape(rows, -1), kind))

def reordered(weight, head):
    """From GGUF's order of rows to Hugging Face's: undoes LlamaModel.permute of llama.cpp's converter."""
    return weight.view(-1, head // 2, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)

def save(name, weights, tokens, has_residual, **stored):
    """Adapters: one on the first weight, two on the last, of ranks 4, 2 and 3."""
    outputs, last = [len(weight) for weight in weights], len(weights) - 1
    inputs = {"x": random(tokens, weights[0].shape[1])}
    if has_residual:
        inputs["residual"] = random(tokens, sum(outputs))
    parts = [F.linear(inputs["x"], weight) for weight in weights]
    for i, (place, rank, scale) in enumerate([(0, 4, 0.5), (last, 2, 2.0), (last, 3, -1.25)]):
        a, b = inputs[f"a{i}"], inputs[f"b{i}"] = random(rank, weights[0].shape[1]), random(outputs[place], rank)
        parts[place] = parts[place] + scale * F.linear(F.linear(inputs["x"], a), b)
    y = torch.cat(parts, 1) + inputs.get("residual", 0) + stored.get("bias", 0)
    dy = torch.randn(y.shape)
    y.backward(dy)
    kept = {**inputs, **stored, "y": y, "dy": dy, **{f"grad.{key}": value.grad for key, value in inputs.items()}}
    path = Path(__file__).parents[2] / f"Tests/Goldens/kernels-{name}.safetensors"
    save_file({key: value.detach().contiguous() for key, value in kept.items()}, path)

dense = [torch.randn(32, 24), torch.randn(8, 24), torch.randn(16, 24)]
save("linear", dense, 19, True, bias=torch.randn(56), **{f"w{i}": weight for i, weight in enumerate(dense)})
bytes0, w0 = packed(Type.Q8_0, 16, 256, [0], 0.004)
bytes1, w1 = packed(Type.Q4_1, 8, 256, [0, 2], 0.05)
bytes2, w2 = packed(Type.Q6_K, 12, 256, [208], 0.0003)
save("packed", [reordered(w0, 8), reordered(w1, 4), w2], 21, True, w0=bytes0, w1=bytes1, w2=bytes2)
save("mixed", [reordered(w0, 8), w := torch.randn(5, 256)], 18, False, w0=bytes0, w1=w)
