"""From which sparsity on a layer would run faster sparse, found by timing it at several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rarefy.acceleration._judge import Judge
from rarefy.acceleration._leaf import leaf_piece
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import timings

SPARSITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


def add_break_even(record: dict[str, Any], judge: Judge | None = None) -> None:
    """Add ``break_even`` to each row of a layer that was timed: the least sparsity that wins.

    It is interpolated between the sparsities that were timed, with random masks; 1.0 where even
    the largest of them does not win. Layers of the same make are timed once.

    Args:
        record: Changed in place.
        judge: Takes the times; with the record's margin and what was timed before, if None.
    """
    judge = judge or Judge(record["margin"], Stopwatch(0.02), timings())
    for row in record["layers"]:
        if row["dense"] is not None:
            row["break_even"] = break_even(row, judge)
    judge.timings.save()


def break_even(row: dict[str, Any], judge: Judge) -> float:
    """The least sparsity that wins for the layer of this row; 1.0 for none."""
    gains = []
    for sparsity in SPARSITIES:
        module = _layer(row, 1 - sparsity)
        piece = leaf_piece(module)
        if isinstance(piece, str):
            return 1.0
        seconds = judge.layer(piece, module, row["input"])
        gains.append(seconds["dense"] / seconds["float32"] - (1 + judge.margin))
    return crossing(SPARSITIES, gains)


def crossing(places: Sequence[float], gains: Sequence[float]) -> float:
    """Where gains cross zero for the last time, upwards; between two places in a straight line.

    >>> crossing((0.5, 0.7, 0.9), (-1.0, 1.0, 3.0))
    0.6
    >>> crossing((0.5, 0.9), (-2.0, -1.0))
    1.0
    """
    if gains[-1] < 0:
        return 1.0
    for place in range(len(gains) - 1, 0, -1):
        before, after = gains[place - 1], gains[place]
        if before < 0:
            share = -before / (after - before)
            return round(places[place - 1] + share * (places[place] - places[place - 1]), 6)
    return places[0]


def _layer(row: dict[str, Any], density: float) -> nn.Module:
    """A layer of the same make whose weight is random, as dense as asked for."""
    shape = row["shape"]
    draw = torch.Generator()
    weight = torch.randn(shape, generator=draw) * (torch.rand(shape, generator=draw) < density)
    with torch.random.fork_rng(devices=[]):
        if row["op"] == "conv":
            pad = tuple(row["pad"] or (0, 0))
            stride = tuple(row["stride"] or (1, 1))
            made: nn.Module = nn.Conv2d(
                shape[1], shape[0], (shape[2], shape[3]), stride, pad, bias=False
            )
        else:
            made = nn.Linear(shape[1], shape[0], bias=False)
    made.weight = nn.Parameter(weight, requires_grad=False)
    return made
