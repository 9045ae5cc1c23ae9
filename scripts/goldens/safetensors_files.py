"""Files as the safetensors package writes them -> Tests/Goldens/safetensors-{mixed,sharded}

torch 2.11.0, safetensors 0.8.0
python scripts/goldens/safetensors_files.py
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

goldens = Path(__file__).parents[2] / "Tests/Goldens"
torch.manual_seed(0)
values = torch.randn(2, 3)
mixed = {
    "a.double": values.double(), "b.float": values, "c.half": values.half(), "d.bfloat": values.bfloat16(),
    "e.long": torch.tensor([-1, 2**62]), "f.int": torch.tensor([[-7], [9]], dtype=torch.int32),
    "g.short": torch.tensor([-300, 300], dtype=torch.int16), "h.char": torch.tensor([-1, 2, 3], dtype=torch.int8),
    "i.byte": torch.tensor([255], dtype=torch.uint8), "j.bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(0.5), "none": torch.zeros(0, 4), "name \"quoted\"\n\tümlaut 🙂": torch.ones(1),
}
save_file(mixed, goldens / "safetensors-mixed.safetensors", metadata={"format": "pt \"é\"\\\u0001"})

folder = goldens / "safetensors-sharded"
folder.mkdir(exist_ok=True)
weight_map = {}
for number, name in enumerate(["first", "second"], start=1):
    file = f"model-0000{number}-of-00002.safetensors"
    save_file({name: torch.full((2, 2), float(number))}, folder / file, metadata={"format": "pt"})
    weight_map[name] = file
index = {"metadata": {"total_size": 32}, "weight_map": weight_map}
(folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
