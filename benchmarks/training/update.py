"""What a topology update costs: python benchmarks/training/update.py.

A 4096x4096 layer at 90 %, 512 tokens, AdamW, SET and RigL, an exchange every 8 steps. The cost of
an update is what its cycle takes beyond as many ordinary steps: choosing, moving values and
optimizer state, what RigL records on the way, and what the kernels make anew at the next step. A
process for each method and number of threads.
"""

import argparse
import multiprocessing
import statistics
import time
from typing import Any

import results
import torch
from torch import nn

import rarefy
from rarefy.metrics import TrainingMeter

WANTED = 5
SIDE, TOKENS, SPARSITY = 4096, 512, 0.9
CYCLE, CYCLES = 8, 8
METHODS = ("set", "rigl")


def measure(method: str, side: int, cycles: int, threads: int) -> dict[str, Any]:
    """Seconds of an ordinary step, of the update by itself, and of all that it brings with it."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(side, side))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=False)
    sparsifier = rarefy.sparsify(
        model, SPARSITY, method, optimizer=optimizer, steps=CYCLE * (cycles + 2),
        when=f"every {CYCLE} until 100%", seed=0, storage="compressed", fully_sparse=True,
    )  # fmt: skip
    x, dy = torch.randn(TOKENS, side, requires_grad=True), torch.randn(TOKENS, side)
    seconds: list[float] = []

    def step() -> None:
        begin = time.perf_counter()
        optimizer.zero_grad()
        x.grad = None
        model(x).backward(dy)
        optimizer.step()
        seconds.append(time.perf_counter() - begin)

    for _ in range(CYCLE):  # the first cycle makes the first code
        step()
    seconds.clear()
    with TrainingMeter(sparsifier) as meter:
        for _ in range(CYCLE * cycles):
            step()
    found = meter.found
    whole = [seconds[at : at + CYCLE] for at in range(0, len(seconds), CYCLE)]
    # The exchange comes with the first or the last step of a cycle, new code with the one after.
    ordinary = statistics.median(s for cycle in whole for s in cycle[2:-1])
    extra = [sum(cycle) / ordinary - CYCLE for cycle in whole]
    return {
        "method": method,
        "threads": threads,
        "ordinary step, ms": 1e3 * ordinary,
        "update alone, ms": 1e3 * found.updates[1] if found and found.updates else None,
        "all it brings, steps": statistics.median(extra),
        "lower": min(extra),
        "upper": max(extra),
        "updates": found.update_count if found else 0,
    }


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Both methods on each number of threads."""
    bar = results.bar("topology update of a 4096x4096 layer, ordinary steps", WANTED, below=True)
    side, cycles = (256, 3) if given.quick else (SIDE, CYCLES)
    rows: results.Rows = []
    context = multiprocessing.get_context("spawn")
    for threads in given.threads:
        for method in METHODS:
            results.progress((method, threads, "threads"))
            with context.Pool(1) as pool:
                rows.append(pool.apply(measure, (method, side, cycles, threads)))
            bar.add(f"{method}, {threads} threads", rows[-1]["all it brings, steps"])
    return [bar], rows


if __name__ == "__main__":
    results.main("update", __doc__ or "", run)
