"""Quantised blocks and the floats that the gguf package makes of them -> Tests/Goldens/blocks.safetensors

numpy 2.4.6, gguf 0.19.0, safetensors 0.8.0
python scripts/goldens/blocks.py
"""
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize
from safetensors.numpy import save_file

# Where the half-precision scales lie in a block.
SCALES = {
    Type.F16: [0], Type.BF16: [], Type.F32: [], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2],
    Type.Q8_0: [0], Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}
# Zero, minus zero, the smallest and the largest subnormal, a small normal, one, the largest, and negatives.
EDGES = np.array([0, 0x8000, 1, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF, 0x8001, 0xBC00], dtype=np.uint16)

rng = np.random.default_rng(20)
tensors = {}
for kind, places in SCALES.items():
    elements, size = GGML_QUANT_SIZES[kind]
    count = 320 if elements == 1 else 20 if elements == 32 else 14
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    blocks[-1], blocks[-2] = 255, 0
    for place in places:
        halves = rng.normal(0, 0.05, count).astype(np.float16).view(np.uint16)
        halves[: len(EDGES)] = rng.permutation(EDGES) if place else EDGES
        blocks[:, place : place + 2] = halves.reshape(-1, 1).view(np.uint8)
    if kind in (Type.F32, Type.BF16):  # any bits but those of infinities and NaN, whose kind a processor may change
        top = blocks[:, -1] & 0x7F
        blocks[:, -1] = np.where(top == 0x7F, 0x3F, blocks[:, -1])
    floats = dequantize(blocks.reshape(1, -1), kind).reshape(-1)
    assert np.isfinite(floats).all() and floats.size == count * elements
    tensors[f"{kind.name}.blocks"] = blocks.reshape(-1)
    tensors[f"{kind.name}.floats"] = np.ascontiguousarray(floats, dtype=np.float32)

save_file(tensors, Path(__file__).parents[2] / "Tests/Goldens/blocks.safetensors")
