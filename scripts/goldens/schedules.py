"""Learning-rate factors of transformers' schedules, for Tests/RunsTests/LearningRateScheduleTests.swift.

Made with Python 3, torch 2.11.0, transformers 5.23.0:
    python scripts/goldens/schedules.py > Tests/Goldens/schedules.json
"""

import json

import torch
import transformers
from transformers import get_scheduler

CASES = [
    ("constant", 0, 10), ("constant", 4, 10), ("linear", 0, 10), ("linear", 3, 10), ("linear", 10, 10), ("linear", 12, 10),
    ("cosine", 0, 10), ("cosine", 3, 10), ("cosine", 1, 1), ("cosine", 7, 100), ("linear", 7, 100), ("linear", 0, 1),
]


def factors(name, warmup, total):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    kind = "constant_with_warmup" if name == "constant" else name
    schedule = get_scheduler(kind, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    values = []
    for _ in range(total + 3):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return values


cases = [{"kind": k, "warmup": w, "total": t, "factors": factors(k, w, t)} for k, w, t in CASES]
print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "cases": cases}))
