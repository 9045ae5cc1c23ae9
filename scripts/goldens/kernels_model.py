"""The other fused operators' results and gradients, by PyTorch and transformers -> Tests/Goldens/kernels-*.safetensors

torch 2.11.0, transformers 5.23.0, safetensors 0.8.0
python scripts/goldens/kernels_model.py
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding, apply_rotary_pos_emb, repeat_kv

torch.manual_seed(7)
random = lambda *shape: torch.randn(shape, requires_grad=True)

def keep(name, **tensors):
    path = Path(__file__).parents[2] / f"Tests/Goldens/kernels-{name}.safetensors"
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, path)

def save(name, x, y, **others):
    """Saves x, y, a gradient `dy` of y and what it makes of x's."""
    dy = torch.randn(y.shape)
    y.backward(dy)
    keep(name, x=x, y=y, dy=dy, **{"grad.x": x.grad}, **others)

norm = LlamaRMSNorm(48, eps=1e-5)
norm.weight = torch.nn.Parameter(torch.randn(48), requires_grad=False)
save("rms_norm", x := random(3, 11, 48), norm(x), weight=norm.weight)
save("swiglu", x := random(3, 7, 2 * 21), F.silu(x[..., :21]) * x[..., 21:])

places = torch.tensor([0, 1, 2, 3, 0, 1, 39, 17])  # of tokens x (T, H, D)
angles = torch.arange(40.0)[:, None] * 100.0 ** (-torch.arange(0, 12, 2) / 12)
cos, sin = (torch.cat([table, table], 1)[places][None] for table in (angles.cos(), angles.sin()))
turned = apply_rotary_pos_emb((heads := (x := random(8, 3, 12)).transpose(0, 1)[None]), heads, cos, sin)[0]
save("rope", x, turned[0].transpose(0, 1), cos=angles.cos(), sin=angles.sin(), positions=places)

parts = []  # 6 heads, 2 key-value heads, of 8; sequences of 9, 1 and 7 tokens
for part in (qkv := random(17, (6 + 2 + 2) * 8)).split([9, 1, 7]):
    q, k, v = (piece.unflatten(1, (-1, 8)).transpose(0, 1)[None] for piece in part.split([48, 16, 16], 1))
    scores = q @ repeat_kv(k, 3).transpose(2, 3) / 8**0.5
    scores = scores + torch.full(scores.shape[2:], -torch.inf).triu(1)
    parts.append((scores.softmax(3) @ repeat_kv(v, 3))[0].transpose(0, 1))
save("attention", qkv, torch.cat(parts))

x, head, labels = random(23, 16), torch.randn(50, 16), torch.randint(0, 50, (23,))
labels[[0, 1, 7, 22]] = -100
save("cross_entropy", x, F.cross_entropy(x @ head.T, labels, reduction="sum"), head=head, labels=labels)

tables, llama3 = {}, {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 64, "rope_type": "llama3"}
for kind, scaling in {"none": {"rope_type": "default"}, "linear": {"rope_type": "linear", "factor": 4.0},
                      "llama3": llama3}.items():
    config = LlamaConfig(head_dim=16, max_position_embeddings=512, rope_parameters={"rope_theta": 5e4, **scaling})
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.arange(0, 300, 23)[None])
    tables |= {f"{kind}.cos": cos[0, :, :8], f"{kind}.sin": sin[0, :, :8]}
keep("rope_tables", **tables)
