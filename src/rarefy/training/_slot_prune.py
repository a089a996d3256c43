"""Pruning among what lives, where only what lives is there."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rarefy._topk import keep_largest
from rarefy._types import Units
from rarefy.selection import count_of, counts_of
from rarefy.training._method import Plan
from rarefy.training._slot_exchange import Exchanged, Slots, unit_scores
from rarefy.training._tiles import Tiles, tiles_of


def removes(
    plan: Plan,
    shapes: Mapping[str, tuple[int, ...]],
    counts: Mapping[str, int],
    sparsity: float,
) -> bool | None:
    """Whether ``sparsity`` removes units that live; None where it would bring some back.

    Args:
        plan: Its pattern says what a unit is.
        shapes: Groups, outputs, inputs, kernel of each weight.
        counts: Living weights of each.
        sparsity: Share of all units removed.
    """
    tiles = {n: tiles_of(plan.method.pattern, s) or _single(s) for n, s in shapes.items()}
    living = sum(counts[name] // each.elements for name, each in tiles.items())
    kept = count_of(sparsity, sum(each.size for each in tiles.values()))
    return None if kept > living else kept < living


def surviving(
    plan: Plan,
    weights: Mapping[str, Slots],
    sides: Mapping[str, tuple[int, ...]],
    sparsity: float,
    step: int,
) -> dict[str, Exchanged]:
    """What lives of each weight at ``sparsity``, the share of all units removed."""
    units: dict[str, Units] = {}
    found: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for name, weight in weights.items():
        living, slots, ranked, _ = unit_scores(plan, name, weight, "score", step)
        found[name] = living, slots, ranked

        def scores(ranked: Tensor = ranked) -> Tensor:
            return ranked

        units[name] = Units(weight.tiles.size, living.numel(), sides[name], scores)
    counts = counts_of(units, sparsity, plan.method.pattern, plan.method.allocation, plan.minimum)
    survivors = {}
    for name, (living, slots, ranked) in found.items():
        kept = keep_largest(ranked, counts[name], name=name)
        places = weights[name].tiles.places(living[kept])
        survivors[name] = Exchanged(places.flatten(), slots[kept].flatten())
    return survivors


def _single(shape: tuple[int, ...]) -> Tiles:
    _, outputs, inputs, kernel = shape
    return Tiles((outputs, inputs, kernel))
