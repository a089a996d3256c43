"""Whole steps of Linear layers through autograd and AdamW: python benchmarks/training/layers.py.

Forward, backward (inputs, weights, bias), AdamW and clearing gradients: ours against torch dense,
and against SparseProp and sparselab where they are installed. All sparse ones have the same mask.
"""

import argparse
from typing import Any

import results
import torch
from torch import Tensor, nn
from turns import Side, Stand, Work

from rarefy.lab.speed import Shape
from rarefy.layers import compressed

SHAPES = ((768, 768), (3072, 768), (768, 3072))
TOKENS = (128, 512)
WANTED = {0.8: 4, 0.9: 8, 0.95: 12}
"""Sparsity to times torch dense."""
RIVALS = ("sparseprop", "sparselab")
TIMES_RIVAL = 3
OFF = 1e-4


def build(library: str, shape: tuple[int, int], tokens: int, sparsity: float) -> Work:
    """A layer and a step of it; output and input gradient are compared with dense torch."""
    dense, x = Shape(*shape).case(tokens, sparsity, skewed=True).build()
    mask = dense.weight.detach() != 0
    model = _layer(library, dense, mask)
    generator = torch.Generator().manual_seed(1)
    dy = torch.randn(tokens, shape[0], generator=generator)
    x = x.detach().requires_grad_()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=False)
    off = _off(dense, model, x, dy)

    def step() -> None:
        optimizer.zero_grad()
        x.grad = None
        model(x).backward(dy)
        optimizer.step()

    return Work(step, model.train(), optimizer, off=off)


def _layer(library: str, dense: nn.Linear, mask: Tensor) -> nn.Module:
    if library == "torch":
        return dense
    if library == "rarefy":
        return compressed(dense, mask)
    if library == "sparseprop":
        from sparseprop.modules.linear import SparseLinear

        return SparseLinear.from_dense(dense)
    import sparselab

    layer = sparselab.SparseLinear(dense.in_features, dense.out_features, sparsity=0.0)
    layer._csr = sparselab.layout.from_dense(dense.weight.detach(), padding_ratio=0.2)
    layer._values = nn.Parameter(torch.from_numpy(layer._csr.values))
    layer.bias = nn.Parameter(dense.bias.detach().clone())
    return layer


def _off(dense: nn.Module, model: nn.Module, x: Tensor, dy: Tensor) -> float:
    found = []
    for each in (dense, model):
        y = each(x)
        (dx,) = torch.autograd.grad(y, x, dy)
        found.append((y.detach(), dx))
    pairs = zip(*found, strict=True)
    off = max(float((ours - theirs).abs().max() / theirs.abs().max()) for theirs, ours in pairs)
    if off > OFF:
        raise ValueError(
            f"outputs or input gradients are off by {off:.1e}: a time would mean nothing"
        )
    return off


def run(given: argparse.Namespace) -> tuple[list[Any], results.Rows]:
    """Every shape, number of tokens and number of threads; dense and each sparsity in turns."""
    bars = {s: results.bar(f"{s:.0%}, times torch dense", wanted) for s, wanted in WANTED.items()}
    bars |= {r: results.bar(f"times {r}", TIMES_RIVAL) for r in RIVALS}
    rows: results.Rows = []
    shapes, counts = (SHAPES[:1], TOKENS[:1]) if given.quick else (SHAPES, TOKENS)
    with Stand() as stand:
        for threads in given.threads:
            for shape in shapes:
                for tokens in counts:
                    results.progress((shape, tokens, "tokens,", threads, "threads"))
                    _cell(stand, bars, rows, given, shape, tokens, threads)
    return list(bars.values()), rows


def _cell(
    stand: Stand,
    bars: dict[Any, Any],
    rows: results.Rows,
    given: argparse.Namespace,
    shape: tuple[int, int],
    tokens: int,
    threads: int,
) -> None:
    keys = [("torch", 0.0)] + [(lib, s) for s in WANTED for lib in ("rarefy", *RIVALS)]
    sides = [
        Side(lib, threads, build, {"library": lib, "shape": shape, "tokens": tokens, "sparsity": s})
        for lib, s in keys
    ]
    measured = stand.measure(sides, seconds=given.seconds, rounds=given.rounds)
    found = dict(zip(keys, measured, strict=True))
    name = f"{shape[0]}x{shape[1]}, {tokens}"
    for (library, sparsity), times in found.items():
        ratio = times.times_as_fast(found["torch", 0.0])
        words = {"layer": name, "threads": threads, "sparsity": sparsity, "library": library}
        rows.append(results.row_of(times, **words, **{"times dense": ratio}))
    cell = f"{name} tokens, {threads} threads"
    for sparsity in WANTED:
        ours = found["rarefy", sparsity]
        bars[sparsity].add(cell, ours.times_as_fast(found["torch", 0.0]))
        for rival in RIVALS:
            theirs = found[rival, sparsity]
            if not theirs.refused:
                bars[rival].add(f"{cell}, {sparsity:.0%}", ours.times_as_fast(theirs))


if __name__ == "__main__":
    results.main("layers", __doc__ or "", run)
