"""Memory of weights, gradients and AdamW's state: python benchmarks/training/memory.py.

At least 100 million dense weights at 90 %, in a fresh process: the peak of its resident size
through building the model and three steps, minus its resident size once model, gradients and
optimizer are freed. Padding, the transposed twin, its permutation and generated code are all in
it; so is what AdamW and building need for a moment. Ours over dense. Batches are small, so that
activations hardly count.
"""

import argparse
import ctypes
import gc
import multiprocessing
from contextlib import suppress
from typing import Any

import results
import torch
from torch import nn

from rarefy.layers import SparseLinear
from rarefy.metrics import peak_resident, reset_peak, resident, training_bytes

WANTED = 0.2
SIDE, LAYERS, TOKENS, SPARSITY = 4096, 6, 16, 0.9
STEPS = 3


def measure(library: str, side: int, threads: int) -> dict[str, Any]:
    """Bytes of one process."""
    torch.set_num_threads(threads)
    _steps("dense", 64, 1)  # what torch loads once is no cost of a model
    _steps("rarefy", 64, 1)
    _freed()
    reset_peak()
    exact, building = _steps(library, side, LAYERS)
    steps = peak_resident()
    freed = _freed()
    if freed is None or building is None or steps is None:
        raise SystemExit("this system does not tell the resident size of a process.")
    return {
        "library": library,
        "threads": threads,
        "dense weights": LAYERS * side**2,
        "whole, MB": (max(building, steps) - freed) / 1e6,
        "steps alone, MB": (steps - freed) / 1e6,
        "tensors, MB": exact / 1e6,
        "freed, MB": freed / 1e6,
    }


def _steps(library: str, side: int, layers: int) -> tuple[int, int | None]:
    """Build, take a few steps; bytes of the tensors, and the peak of building alone."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(*(_layer(library, side, generator) for _ in range(layers)))
    building = peak_resident()
    reset_peak()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=False)
    x = torch.randn(TOKENS, side)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return training_bytes(model, optimizer).total, building


def _layer(library: str, side: int, generator: torch.Generator) -> nn.Module:
    if library == "dense":
        return nn.Linear(side, side)
    return SparseLinear(side, side, sparsity=SPARSITY, generator=generator)


def _freed() -> int | None:
    """Resident size once everything that is garbage was given back to the system."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Dense and compressed, each in a fresh process, on each number of threads."""
    bar = results.bar(
        "memory of weights + grads + AdamW state at 90 %, of dense", WANTED, below=True
    )
    side = 512 if given.quick else SIDE
    rows: results.Rows = []
    context = multiprocessing.get_context("spawn")
    for threads in given.threads:
        found = {}
        for library in ("dense", "rarefy"):
            results.progress((library, threads, "threads"))
            with context.Pool(1) as pool:
                found[library] = pool.apply(measure, (library, side, threads))
        for key in ("whole, MB", "steps alone, MB", "tensors, MB"):
            found["rarefy"][f"{key[:-4]}, of dense"] = found["rarefy"][key] / found["dense"][key]
        rows += found.values()
        bar.add(f"{threads} threads, building and steps", found["rarefy"]["whole, of dense"])
    return [bar], rows


if __name__ == "__main__":
    results.main("memory", __doc__ or "", run)
