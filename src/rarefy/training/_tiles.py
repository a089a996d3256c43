"""The units of a compressed weight: which slots live and die as one, and where units lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy._places import in_order
from rarefy.errors import InvariantError
from rarefy.patterns import Block, Pattern, Row, Unstructured


@dataclass(frozen=True, slots=True)
class Tiles:
    """A weight, outputs x inputs x kernel, cut into tiles of ``rows`` x ``columns`` x ``depth``.

    Units are counted as a pattern's unit scores lie: by tile row, tile column, kernel tile.
    """

    shape: tuple[int, int, int]
    rows: int = 1
    columns: int = 1
    depth: int = 1

    @property
    def elements(self) -> int:
        """Weights in a unit."""
        return self.rows * self.columns * self.depth

    @property
    def size(self) -> int:
        """Units in the weight."""
        return math.prod(self.shape) // self.elements

    @property
    def row_units(self) -> int:
        """Units in the outputs that one tile is high."""
        return self.size * self.rows // self.shape[0]

    def sort(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Units in their order, and the slots that hold their elements.

        Args:
            places: int64, the flat index of every living weight, by slot.

        Returns:
            int64 (units,) and int64 (units, elements).

        Raises:
            InvariantError: A unit lives in part.
        """
        keys, slots = in_order(self._keys(places))
        if self.elements == 1:
            return keys, slots.unsqueeze(1)
        wanted = keys[:: self.elements, None] + torch.arange(self.elements)
        if wanted.numel() != keys.numel() or not torch.equal(wanted.flatten(), keys):
            raise InvariantError(
                f"{keys.numel()} living weights do not make whole units of {self.rows} x "
                f"{self.columns}: the masks were not chosen by this pattern. Start from "
                "rarefy.sparsify with it."
            )
        return keys[:: self.elements] // self.elements, slots.view(-1, self.elements)

    def places(self, units: Tensor) -> Tensor:
        """The flat index of every element: int64 (units, elements)."""
        if self.elements == 1:
            return units.unsqueeze(1)
        _, inputs, kernel = self.shape
        across, deep = inputs // self.columns, kernel // self.depth
        row, rest = units // (across * deep), units % (across * deep)
        column, layer = rest // deep, rest % deep
        corner = (row * self.rows * inputs + column * self.columns) * kernel + layer * self.depth
        down, right, inner = (torch.arange(n) for n in (self.rows, self.columns, self.depth))
        offsets = (down[:, None, None] * inputs + right[:, None]) * kernel + inner
        return corner[:, None] + offsets.flatten()

    def of_rows(self, rows: Tensor) -> Tensor:
        """The elements of whole tile rows by unit: rows x inputs x kernel to (units, elements)."""
        if self.elements == 1:
            return rows.reshape(-1, 1)
        _, inputs, kernel = self.shape
        tiles = rows.reshape(
            -1,
            self.rows,
            inputs // self.columns,
            self.columns,
            kernel // self.depth,
            self.depth,
        )
        return tiles.permute(0, 2, 4, 1, 3, 5).reshape(-1, self.elements)

    def _keys(self, places: Tensor) -> Tensor:
        if self.elements == 1:
            return places
        _, inputs, kernel = self.shape
        row, rest = places // (inputs * kernel), places % (inputs * kernel)
        column, layer = rest // kernel, rest % kernel
        across, deep = inputs // self.columns, kernel // self.depth
        unit = (row // self.rows * across + column // self.columns) * deep + layer // self.depth
        inside = (row % self.rows * self.columns + column % self.columns) * self.depth
        return unit * self.elements + inside + layer % self.depth


def tiles_of(pattern: Pattern, shape: tuple[int, ...]) -> Tiles | None:
    """The tiles that are a pattern's units; None where units are not chosen one by one.

    Args:
        pattern: Of the method.
        shape: Groups, which is one, outputs, inputs, kernel.
    """
    _, outputs, inputs, kernel = shape
    sides = (outputs, inputs, kernel)
    if isinstance(pattern, Unstructured):
        return Tiles(sides)
    if isinstance(pattern, Block):
        return Tiles(sides, pattern.rows, pattern.columns)
    if isinstance(pattern, Row):
        return Tiles(sides, 1, inputs, kernel)
    return None
