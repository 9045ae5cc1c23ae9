"""Small checkpoints as torch.save writes them, with what they hold -> Tests/Goldens/torch-*

torch 2.11.0, numpy 2.4.6, safetensors 0.8.0
python scripts/goldens/torch_checkpoints.py

torch-mixed.ckpt has every element type, a parameter, strided views of shared bytes, a number, an empty tensor, and what
trainers leave beside the weights; torch-flat.bin has no `state_dict` around them; torch-legacy.pt is of before 1.6.
"""
import collections, pathlib, numpy, torch
from safetensors.torch import save_file

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
base = torch.arange(24, dtype=torch.float32) / 8
state = collections.OrderedDict(
    {str(kind).removeprefix("torch."): torch.arange(6).to(kind).reshape(2, 3) for kind in [
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool]})
state["parameter"] = torch.nn.Parameter(torch.ones(3, dtype=torch.half), requires_grad=False)
state |= {"slice": base[6:14], "transposed": base.reshape(4, 6).t(), "columns": base.reshape(4, 6)[:, 1:4],
          "channels_last": base.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
          "scalar": torch.tensor(7.5), "empty": torch.zeros(0, 4), "tied": base[6:14]}
state._metadata = {"": {"version": 1}}
extra = {"epoch": 3, "global_step": 875000, "large": 2**70, "negative": -2**40, "rate": 1e-4, "name": "größer",
         "done": True, "none": None, "nested": [{"a": (1, 2, 3, 4)}, {5, 6}, frozenset({7})], "bytes": b"\1\2",
         "scalar": numpy.float64(2), "array": numpy.arange(3), "type": torch.float16, "device": torch.device("cpu"),
         "size": torch.Size([1, 2]), "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
         "complex": torch.zeros(2, dtype=torch.complex64)}
torch.save({"state_dict": state} | extra, GOLDENS / "torch-mixed.ckpt")
torch.save({"weight": base.reshape(4, 6), "bias": base[:4].half()}, GOLDENS / "torch-flat.bin")
torch.save({"weight": base[:4]}, GOLDENS / "torch-legacy.pt", _use_new_zipfile_serialization=False)
save_file({key: value.detach().clone().contiguous() for key, value in state.items()},
          GOLDENS / "torch-mixed.safetensors")
