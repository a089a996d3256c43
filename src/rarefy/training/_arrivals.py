"""Scores of everything that could arrive in a compressed weight, a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor

from rarefy import growth as growths
from rarefy.communication import mean_over_ranks_
from rarefy.growth import Grids, Growth, Neighbours
from rarefy.training._draws import CHUNK
from rarefy.training._tiles import Tiles

Rows = Callable[[int, int], Tensor]
"""First and last row to those rows of the dense gradient."""

Part = tuple[int, Tensor, Tensor | None]
"""First row, scores (rows, inputs, kernel), and the gradient they come from."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """One weight that something may arrive in."""

    tiles: Tiles
    growth: Growth
    generator: Generator
    survivors: Tensor
    """int64, ascending: the flat index of each weight that stays."""
    rows: Rows | None
    """The dense gradient by rows, where growth looks at it."""

    def parts(self) -> Iterator[Part]:
        """Scores of all rows in their order, in parts of whole tile rows."""
        if by_chance(self.growth):
            return self._drawn()
        if isinstance(self.growth, Neighbours):
            return self._near()
        return self._steep()

    def _drawn(self) -> Iterator[Part]:
        for first, last in self._cuts(self.tiles.rows):
            yield first, self._uniform(last - first), None

    def _steep(self) -> Iterator[Part]:
        arrivals = self.growth.arrivals
        if self.rows is None or arrivals is None:
            return
        for first, last in self._cuts(self.tiles.rows):
            found = self.rows(first, last)
            mean_over_ranks_(found)
            gradient = found.view(last - first, *self.tiles.shape[1:])
            yield first, arrivals(gradient.unsqueeze(0)).squeeze(0), gradient

    def _near(self) -> Iterator[Part]:
        grids = cast(Grids, self.growth.arrivals)
        line, wraps = grids.outputs[1], grids.wraps(grids.outputs)[0]
        for first, last in self._cuts(math.lcm(self.tiles.rows, line)):
            above = self._living(first - line, first, wraps=wraps)
            below = self._living(last, last + line, wraps=wraps)
            living = torch.cat([above, self._living(first, last, wraps=False), below])
            counts = grids.counts(living.unsqueeze(0)).squeeze(0)
            yield first, counts.to(torch.float64).add_(self._uniform(last - first)), None

    def _uniform(self, rows: int) -> Tensor:
        return torch.rand((rows, *self.tiles.shape[1:]), generator=self.generator)

    def _living(self, first: int, last: int, *, wraps: bool) -> Tensor:
        """Bool, the survivors in these rows; rows beyond the edges are those that lie round it."""
        outputs, inputs, kernel = self.tiles.shape
        living = torch.zeros(last - first, inputs, kernel, dtype=torch.bool)
        if not 0 <= first < outputs:
            if not wraps:
                return living
            first = first % outputs
        begin = first * inputs * kernel
        edges = torch.tensor([begin, begin + living.numel()])
        low, high = torch.searchsorted(self.survivors, edges).tolist()
        living.view(-1)[self.survivors[low:high] - begin] = True
        return living

    def _cuts(self, step: int) -> Iterator[tuple[int, int]]:
        outputs, inputs, kernel = self.tiles.shape
        # Never all rows at once, even of a small weight: nothing dense is made of any.
        most = min(max(CHUNK // (inputs * kernel), 1), -(-outputs // 2))
        step = min(max(most // step, 1) * step, outputs)
        for first in range(0, outputs, step):
            yield first, min(first + step, outputs)


def by_chance(growth: Growth) -> bool:
    """Whether every dead unit is as likely as every other."""
    return growth.arrivals is growths.Random().arrivals


def by_gradient(growth: Growth) -> bool:
    """Whether growth looks at the size of each gradient alone."""
    each = getattr(growth.arrivals, "elementwise", False)
    return growth.arrivals is growths.Gradient().arrivals or (
        each and growth.evidence == ("gradient",)
    )
