"""BSR: small dense blocks, and the block column and block row of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import PatternError
from rarefy.formats._csr import index_size, indices, positions
from rarefy.formats._format import (
    Arrays,
    Format,
    Size,
    kept_among,
    refuse_unless,
    starts_of,
    words_in,
    zeros_part,
    zeros_size,
)
from rarefy.formats._kept import Kept, Numbers, inputs_back, inputs_last, sides

_GATHERED = 0.9
"""Share of the blocks at random up to which a weight counts as pruned in blocks."""


@dataclass(frozen=True, slots=True)
class Bsr(Format):
    """Blocks of ``rows`` x ``columns`` that hold anything kept, whole, row-major, with CSR indices.

    Blocks run along the inputs at a fixed kernel position, as ``patterns.Block`` keeps them. A
    matrix that they do not divide is filled up with zeros; kept zeros are listed.
    """

    rows: int = 4
    columns: int = 4
    narrow: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise PatternError(
                f"a block needs at least one row and one column, got {self.rows}x{self.columns}"
            )

    def __str__(self) -> str:
        return f"bsr {self.rows}x{self.columns}" + (" narrow" if self.narrow else "")

    @property
    def family(self) -> str:
        """For all sides of a block."""
        return "bsr narrow" if self.narrow else "bsr"

    def bytes(self, kept: Kept) -> int:
        """Whole blocks, their indices, and an index a kept zero."""
        return self._size(kept.shape, self._blocks(kept), kept.itemsize) + zeros_size(kept)

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Of the blocks, those in which at random something is kept."""
        return self._size(shape, self._random_blocks(shape, count), itemsize)

    def thinned(self, kept: Kept, now: int) -> Size:  # noqa: ARG002 - blocks tell more than bytes
        """Where places gather in blocks, these go as full as they are; else as at random."""
        blocks = self._blocks(kept)
        if blocks > _GATHERED * self._random_blocks(kept.shape, kept.count):
            return lambda count: self.expected(kept.shape, count, kept.itemsize)
        full = blocks / max(kept.count, 1)
        return lambda count: self._size(kept.shape, round(full * count), kept.itemsize)

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values`` block after block, ``columns`` and ``starts`` of the blocks, ``zeros``."""
        across, down = self._grid(kept.shape)
        block, slot = self._block_and_slot(kept.shape, kept.places)
        filled = np.zeros(across * down, np.bool_)
        filled[block] = True
        ids, rank = np.flatnonzero(filled), np.cumsum(filled) - 1
        words = np.zeros(len(ids) * self.rows * self.columns, kept.words.dtype)
        words[rank[block] * (self.rows * self.columns) + slot] = kept.words
        row, column = np.divmod(ids, max(across, 1))
        found = indices(column, across, starts_of(row, down), self.narrow)
        return {"values": words, **found, **zeros_part(kept)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        across, down = self._grid(shape)
        area = self.rows * self.columns
        words = words_in(arrays, dtype)
        refuse_unless(len(words) % area == 0, f"{len(words)} values fill no blocks of {area}")
        row, column = positions(arrays, len(words) // area, down, across, self.narrow)
        # Every slot of every block, as row and column of the matrix.
        within, beside = np.divmod(np.arange(area), self.columns)
        rows = (row[:, None] * self.rows + within).reshape(-1)
        columns = (column[:, None] * self.columns + beside).reshape(-1)
        inside = (rows < sides(shape)[0]) & (columns < sides(shape)[1])
        refuse_unless(not words[~inside].any(), "a block has values beyond the matrix")
        moved = rows[inside] * sides(shape)[1] + columns[inside]
        return kept_among(shape, dtype, inputs_back(shape, moved), words[inside], arrays)

    def _grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """Blocks across and down."""
        rows, columns = sides(shape)
        return -(-columns // self.columns), -(-rows // self.rows)

    def _random_blocks(self, shape: Sequence[int], count: int) -> int:
        across, down = self._grid(shape)
        size = sides(shape)[0] * sides(shape)[1]
        filled = 1 - (1 - count / max(size, 1)) ** (self.rows * self.columns)
        return round(across * down * filled)

    def _blocks(self, kept: Kept) -> int:
        """Blocks in which anything is kept."""
        across, down = self._grid(kept.shape)
        filled = np.zeros(across * down, np.bool_)
        filled[self._block_and_slot(kept.shape, kept.places)[0]] = True
        return int(np.count_nonzero(filled))

    def _block_and_slot(self, shape: Sequence[int], places: Numbers) -> tuple[Numbers, Numbers]:
        """The block of each place, counted row by row, and where in it the place lies."""
        columns = max(sides(shape)[1], 1)
        row, column = np.divmod(inputs_last(shape, places), columns)
        across = self._grid(shape)[0]
        block = row // self.rows * across + column // self.columns
        return block, row % self.rows * self.columns + column % self.columns

    def _size(self, shape: Sequence[int], blocks: int, itemsize: int) -> int:
        across, down = self._grid(shape)
        values = blocks * self.rows * self.columns * itemsize
        return values + index_size(blocks, across, down + 1, self.narrow)
