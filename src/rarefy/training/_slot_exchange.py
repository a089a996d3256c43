"""One exchange in compressed weights: what goes by the values there are, what comes by parts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy._places import in_order, where
from rarefy.growth import Growth
from rarefy.selection import generator_for, score_of
from rarefy.training._arrivals import Arriving, Rows, by_chance
from rarefy.training._best import Best
from rarefy.training._changes import finite, share_of
from rarefy.training._draws import drawn_at
from rarefy.training._method import Plan
from rarefy.training._tiles import Tiles


@dataclass(frozen=True, slots=True)
class Slots:
    """A compressed weight as an exchange sees it."""

    tiles: Tiles
    places: Tensor
    """int64, the flat index of every living weight, by slot."""
    values: Tensor
    """By slot; padding may follow."""
    gradient: Tensor | None
    """By slot, where the step has one."""
    rows: Rows | None = None
    """The dense gradient by rows, where growth looks at it."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one weight drops."""

    units: Tensor
    """int64, the living units in their order."""
    slots: Tensor
    """int64, the slots of each unit's elements."""
    dropped: Tensor
    """Bool, those of them that go."""

    @property
    def count(self) -> int:
        """Units that go, and as many that come."""
        return int(self.dropped.sum())


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What lives in one weight after an exchange."""

    places: Tensor
    """int64, the flat index of everything that lives: what stays, then what was chosen to grow."""
    slots: Tensor | None = None
    """int64, the slot that each had before, -1 where it had none; None where nobody knows."""
    gradient: Tensor | None = None
    """The gradient of what was chosen to grow, where growth looked at it."""


def unit_scores(
    plan: Plan, name: str, weight: Slots, purpose: str, step: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The living units in their order, their slots, the score of each, the sign of its weight.

    Raises:
        ScoreError: A score is not finite; the weight is named.
    """
    units, slots = weight.tiles.sort(weight.places)
    flat = slots.flatten()

    def view(tensor: Tensor) -> Tensor:
        return tensor.detach().index_select(0, flat).view(1, 1, -1, 1)

    evidence: dict[str, Mapping[str, Tensor]] = {"weight": {name: view(weight.values)}}
    if weight.gradient is not None:
        evidence["gradient"] = {name: view(weight.gradient)}
    generator = generator_for(plan.seed, step, name, purpose)
    if "generator" in inspect.signature(plan.method.score).parameters:
        size = weight.tiles.size * weight.tiles.elements
        ascending, order = in_order(weight.places[flat])
        found = torch.empty(flat.shape)
        found[order] = drawn_at(ascending, size, torch.rand, generator)
    else:
        found = score_of(name, evidence, plan.method.score, lambda: generator).flatten()
    signed = evidence["weight"][name].flatten()
    shape = slots.shape
    finite(name, found)
    if weight.tiles.elements == 1:
        return units, slots, found, signed.sign()
    return units, slots, found.view(shape).mean(1), signed.view(shape).mean(1).sign()


def dropping(plan: Plan, name: str, weight: Slots, step: int) -> Side:
    """The units that go in this exchange."""
    units, slots, ranked, sign = unit_scores(plan, name, weight, "drop", step)
    kept = torch.ones_like(units, dtype=torch.bool)
    count = int(share_of(plan, step) * units.numel())
    return Side(units, slots, plan.method.growth.drop(ranked, sign, kept, count))


def growing(plan: Plan, name: str, weight: Slots, side: Side, step: int) -> Exchanged | None:
    """What lives after the drop and as much growth; None where nothing says where to grow.

    Raises:
        ScoreError: A score is not finite; the weight is named.
    """
    tiles, stay = weight.tiles, where(~side.dropped)
    survivors = side.units.index_select(0, stay)
    staying = tiles.places(survivors).flatten()
    ascending = staying if tiles.elements == 1 else in_order(staying)[0]
    best = Best(side.count)
    for least in (_likely(plan.method.growth, tiles, survivors.numel(), side.count), -torch.inf):
        generator = generator_for(plan.seed, step, name, "growth")
        arriving = Arriving(tiles, plan.method.growth, generator, ascending, weight.rows)
        best = Best(side.count, least)
        if not _offered(best, name, arriving, survivors):
            return None
        if best.full or least == -torch.inf:
            break
    chosen, beside = best.chosen()
    places = torch.cat([staying, tiles.places(chosen).flatten()])
    kept = side.slots.index_select(0, stay).flatten()
    slots = torch.cat([kept, _before(side, chosen).flatten()])
    return Exchanged(places, slots, None if beside is None else beside.flatten())


def _likely(growth: Growth, tiles: Tiles, survivors: int, count: int) -> float:
    """A score that almost surely more than ``count`` candidates reach; -inf where nobody knows.

    Uniform numbers are known beforehand, so few of them have to be looked at twice.
    """
    candidates = tiles.size - survivors
    if not by_chance(growth) or tiles.elements > 1 or not candidates:
        return -math.inf
    return 1 - (count + 6 * math.sqrt(count) + 6) / candidates


def _offered(best: Best, name: str, arriving: Arriving, survivors: Tensor) -> bool:
    """Offer every part; whether anything in them says where to grow."""
    tiles, seen = arriving.tiles, False
    for first, rows, gradient in arriving.parts():
        seen = seen or gradient is None or bool(gradient.any())
        units = _units_of(name, tiles, rows)
        number = first // tiles.rows * tiles.row_units
        edges = torch.tensor([number, number + units.numel()])
        low, high = torch.searchsorted(survivors, edges).tolist()
        units.index_fill_(0, survivors[low:high] - number, -torch.inf)
        best.offer(units, number, None if gradient is None else _beside(tiles, gradient))
    return seen


def _before(side: Side, chosen: Tensor) -> Tensor:
    """The slots of what was chosen to grow: those of units that this exchange has dropped."""
    gone = where(side.dropped)
    slots = torch.full((chosen.numel(), side.slots.shape[1]), -1)
    at = torch.searchsorted(side.units.index_select(0, gone), chosen).clamp_max_(gone.numel() - 1)
    back = where(side.units.index_select(0, gone.index_select(0, at)) == chosen)
    slots[back] = side.slots.index_select(0, gone.index_select(0, at.index_select(0, back)))
    return slots


def _beside(tiles: Tiles, gradient: Tensor) -> Tensor:
    """The gradient by unit; flat where a unit is one weight, which is picked from faster."""
    return gradient.reshape(-1) if tiles.elements == 1 else tiles.of_rows(gradient)


def _units_of(name: str, tiles: Tiles, rows: Tensor) -> Tensor:
    """One score a unit of these rows, flat; the memory is the scores' own, and may be written."""
    flat = rows.reshape(-1)
    # One pass says whether anything is NaN or infinite, for the largest then is.
    if not (flat.max().isfinite() and flat.min().isfinite()):
        finite(name, flat)
    return flat if tiles.elements == 1 else tiles.of_rows(rows).mean(1)
