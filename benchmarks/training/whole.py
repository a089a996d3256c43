"""A whole training step of a network, dense or compressed, ready to be timed in turns."""

import argparse
from collections.abc import Callable
from typing import Any

import results
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from turns import Side, Stand, Work

import rarefy

SPARSITY = 0.9


def work(
    library: str, model: nn.Module, x: Tensor, targets: Tensor, skip: list[str] | None = None
) -> Work:
    """Loss, backward, AdamW and clearing gradients; every sparse layer at the same sparsity."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=False)
    sparsifier = None
    if library == "rarefy":
        sparsifier = rarefy.sparsify(
            model, SPARSITY, "static", allocation="uniform", optimizer=optimizer, steps=10_000,
            skip=skip, seed=0, storage="compressed", fully_sparse=True,
        )  # fmt: skip

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(x).flatten(0, -2), targets.flatten()).backward()
        optimizer.step()

    return Work(step, model.train(), optimizer, sparsifier)


def compare(
    given: argparse.Namespace,
    cases: dict[str, tuple[Callable[..., Work], Any]],
) -> results.Rows:
    """Each case, ours and torch dense in turns, on each number of threads.

    Args:
        given: The options.
        cases: Name to what builds it, and the bar of how many times as fast, or None.
    """
    rows: results.Rows = []
    with Stand() as stand:
        for threads in given.threads:
            for name, (build, bar) in cases.items():
                results.progress((name, threads, "threads"))
                sides = [Side(e, threads, build, {"library": e}) for e in ("torch", "rarefy")]
                dense, ours = stand.measure(sides, seconds=given.seconds, rounds=given.rounds)
                ratio = ours.times_as_fast(dense)
                for library, times in (("torch", dense), ("rarefy", ours)):
                    words = {"net": name, "threads": threads, "library": library}
                    shown = 1.0 if times is dense else ratio
                    rows.append(results.row_of(times, **words, **{"times dense": shown}))
                if bar is not None:
                    bar.add(f"{name}, {threads} threads", ratio)
    return rows
