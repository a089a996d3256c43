"""The best of scores that come one part after another, as one ranking of them all would choose."""

import torch
from torch import Tensor

from rarefy._places import where
from rarefy._topk import keep_largest

_FEW = 1 << 16
"""Candidates that are waited for before they are ranked again."""


class Best:
    """Keeps the ``count`` largest scores; among equals the earlier one, as ``keep_largest`` does.

    A threshold rises with what was seen, so that few candidates are kept and ranked.
    """

    def __init__(self, count: int, least: float = -float("inf")) -> None:
        """Start with nothing.

        Args:
            count: How many to keep.
            least: Scores up to this one are not looked at; what is chosen is the best of all only
                if the pool is full in the end.
        """
        self._count = count
        self._scores: list[Tensor] = []
        self._units: list[Tensor] = []
        self._with: list[Tensor] = []
        self._size = 0
        self._least = least

    def offer(self, scores: Tensor, first: int, beside: Tensor | None = None) -> None:
        """Take in the next part.

        Args:
            scores: One a unit, flat, floating; -inf where the unit is no candidate.
            first: Number of the first unit, above those of all earlier parts.
            beside: What belongs to each unit and is kept with it, (units, elements).
        """
        if not self._count:
            return
        # The earlier of two equals is kept, so with a full pool only what is larger comes in.
        found = where(scores > self._least)
        self._scores.append(scores.index_select(0, found))
        self._units.append(found.add(first) if first else found)
        if beside is not None:
            self._with.append(beside.index_select(0, found))
        self._size += found.numel()
        if self._size > 2 * self._count + _FEW:
            self._narrow()

    @property
    def full(self) -> bool:
        """Whether there are as many as are to be kept."""
        return self._size >= self._count

    def _narrow(self) -> None:
        scores = torch.cat(self._scores)
        parts = [self._units, self._with] if self._with else [self._units]
        if scores.numel() > self._count:
            kept = where(keep_largest(scores, self._count))
            scores = scores.index_select(0, kept)
            for part in parts:
                part[:] = [torch.cat(part).index_select(0, kept)]
            self._least = float(scores.min())
        self._scores, self._size = [scores], scores.numel()

    def chosen(self) -> tuple[Tensor, Tensor | None]:
        """The units in their order, and what belongs to them, where something was given."""
        if not self._units:
            return torch.empty(0, dtype=torch.int64), None
        self._narrow()
        beside = torch.cat(self._with) if self._with else None
        return torch.cat(self._units), beside
