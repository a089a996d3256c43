"""A run that saves after every step and takes up what it finds; test_resume.py kills it."""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW

import rarefy

STEPS = 24


def main(method, path, pace):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 4))
    optimizer = AdamW(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(
        model, 0.6, method, optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    start = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        sparsifier.load_state_dict(saved["sparsifier"])
        start = saved["step"]
    for step in range(start, STEPS):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(8, 12, generator=generator)
        target = torch.randint(4, (8,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "sparsifier": sparsifier.state_dict(),
            "step": step + 1,
            "resumed_at": start,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
        if pace == "slowly":
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
