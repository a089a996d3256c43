"""A compressed weight's exchange, prepared: what each of its tensors becomes, slot by slot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy._places import where
from rarefy.masks import Change, Storage
from rarefy.training._commit import Move, copying
from rarefy.training._optimizers import state_like
from rarefy.training._slot_exchange import Exchanged


@dataclass(frozen=True, slots=True)
class Born:
    """The slots of what did not live before."""

    slots: Tensor
    """int64, ascending."""
    places: Tensor
    """int64, the flat index of each."""


class Moving:
    """One weight on its way from one topology to the next; nothing is changed until its moves are.

    What lived before and lives on keeps its value and its state, to the bit; what is new has zero
    in every tensor, but for the value that it starts with and the gradient that chose it.
    """

    def __init__(self, storage: Storage, found: Exchanged) -> None:
        self.storage = storage
        self.change: Change = storage.exchanged(found.places)
        order = self.change.order
        source = self.change.source if found.slots is None else self._source(found.slots, order)
        slots = where(source[: order.numel()] < 0)
        self._given = order.index_select(0, slots)
        self.born = Born(slots, found.places.index_select(0, self._given))
        self._kept = source.clamp_min(0)
        self._gone = where(source < 0)
        self._found = found

    def places(self) -> Tensor:
        """int64, the flat index of each living slot."""
        return self._found.places.index_select(0, self.change.order)

    def _source(self, before: Tensor, order: Tensor) -> Tensor:
        source = torch.full((self.storage.weight_values.numel(),), -1)
        source[: order.numel()] = before.index_select(0, order)
        return source

    def moves(self, optimizers: Iterable[Optimizer], start: Tensor | None) -> list[Move]:
        """Every copy that has to be made.

        Args:
            optimizers: Those attached.
            start: Values of what is born, by slot; zero if not given.
        """
        weight = self.storage.weight_values
        values = self._moved(weight.detach())
        if start is not None:
            values[self.born.slots] = start.to(values)
        moves: list[Move] = [
            partial(self.storage.adopt, self.change),
            copying(weight.detach(), values),
        ]
        moves += [copying(each, self._moved(each)) for each in self._beside(weight, optimizers)]
        if weight.grad is not None:
            gradient = weight.grad.detach()
            moves.append(copying(gradient, self._graded(gradient)))
        return moves

    def _beside(self, weight: nn.Parameter, optimizers: Iterable[Optimizer]) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        for optimizer in optimizers:
            for _, value in state_like(optimizer, weight):
                found[id(value)] = value
        return list(found.values())

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.index_select(0, self._kept).index_fill_(0, self._gone, 0)

    def _graded(self, gradient: Tensor) -> Tensor:
        moved = self._moved(gradient)
        grown = self._found.gradient
        if grown is not None and self.born.slots.numel():
            # What was chosen to grow stands at the end of the places given.
            first = self._found.places.numel() - grown.numel()
            moved[self.born.slots] = grown.index_select(0, self._given - first).to(moved)
        return moved
