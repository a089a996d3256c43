"""Packed: the layout that rarefy's own kernels multiply with, six bytes a kept float32 weight."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import FileError
from rarefy.formats._format import Arrays, Format, array_of, refuse_unless
from rarefy.formats._kept import Kept, Numbers, sides

BLOCK_ROWS = 30
"""Rows of a block at most: as many accumulators as a kernel has."""
LARGEST_TILE = 2048
_SPARSE_BELOW = 0.07
_HEADER = 6
_LINE = 64


@dataclass(frozen=True, slots=True)
class Packed(Format):
    """Row blocks x column tiles of the matrix first side x the rest; nothing is padded.

    Little-endian, one part: int64 rows, columns, tile, blocks, tiles, nonzero; int64 starts of
    every (block, tile) and the end, block after block; int32 first row of every block and the end;
    zeros to a multiple of 64 bytes; float32 values, zeros to 64; uint16 positions, zeros to 64. A
    position is (column in its tile) * 32 + (row in its block); inside a block and tile entries
    stand by column, then row. Rows are split into the fewest blocks of at most 30, evenly.

    Args:
        tile: Columns of a tile, 1 to 2048; None takes what the kernels take: 512 where fewer than
            7 % are kept, else 256.
    """

    tile: int | None = None

    def __post_init__(self) -> None:
        if self.tile is not None and not 1 <= self.tile <= LARGEST_TILE:
            raise FileError(f"a tile has 1 to {LARGEST_TILE} columns, not {self.tile}.")

    def __str__(self) -> str:
        return "packed"

    def settled(self, kept: Kept) -> "Packed":
        """With the kernels' tile."""
        return Packed(self._tile(kept.size, kept.count))

    def fits(self, kept: Kept) -> bool:
        """Whether it is float32."""
        return kept.dtype == torch.float32

    def bytes(self, kept: Kept) -> int:
        """The same wherever the places lie."""
        return self._layout(kept.shape, kept.count)[-1]

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Header, and 6 bytes a value.

        Raises:
            FileError: Values are not of four bytes.
        """
        if itemsize != 4:
            raise FileError(f"packed storage holds float32; found values of {itemsize} bytes.")
        return self._layout(shape, count)[-1]

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``section``, as bytes.

        Raises:
            FileError: The weight is not float32.
        """
        if not self.fits(kept):
            raise FileError(f"packed storage holds float32; found {kept.dtype}. Choose another.")
        rows, columns = sides(kept.shape)
        tile = self._tile(kept.size, kept.count)
        blocks, tiles, values, positions, end = self._layout(kept.shape, kept.count)
        first = _first_rows(rows, blocks)
        row, column = np.divmod(kept.places, max(columns, 1))
        block = np.searchsorted(first, row, side="right") - 1
        piece = block * tiles + column // tile
        position = column % tile * 32 + (row - first[block])
        order = np.lexsort((position, piece))
        starts = np.searchsorted(piece[order], np.arange(blocks * tiles + 1))
        section = np.zeros(end, np.uint8)
        header = np.array([rows, columns, tile, blocks, tiles, kept.count], "<i8")
        for at, part in (
            (0, np.concatenate([header, starts.astype("<i8")])),
            (8 * (_HEADER + len(starts)), first.astype("<i4")),
            (values, kept.words[order]),
            (positions, position[order].astype("<u2")),
        ):
            section[at : at + part.nbytes] = part.view(np.uint8)
        return {"section": section}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        section = array_of(arrays, "section", "u1")
        refuse_unless(len(section) >= 8 * _HEADER, "its section has no room for a header")
        header = section[: 8 * _HEADER].view("<i8").tolist()
        count = header[-1]
        refuse_unless(0 <= count <= len(section) // 6, f"it claims {count} values")
        blocks, tiles, values, positions, end = self._layout(shape, count)
        wanted = [*sides(shape), self._tile(math.prod(shape), count), blocks, tiles, count]
        refuse_unless(header == wanted, f"its header says {header}, not {wanted}")
        refuse_unless(len(section) == end, f"its section has {len(section)} bytes, not {end}")
        starts = section[8 * _HEADER :][: 8 * (blocks * tiles + 1)].view("<i8")
        place = 8 * (_HEADER + blocks * tiles + 1)
        first = section[place : place + 4 * (blocks + 1)].view("<i4").astype(np.int64)
        even = _first_rows(sides(shape)[0], blocks)
        refuse_unless(np.array_equal(first, even), "its row blocks are not even")
        words = section[values : values + 4 * count].view("<u4")
        entry = section[positions : positions + 2 * count].view("<u2").astype(np.int64)
        places, order = self._places(shape, starts, first, entry, tiles)
        return Kept(shape, dtype, places, words[order])

    def _places(
        self, shape: tuple[int, ...], starts: Numbers, first: Numbers, entry: Numbers, tiles: int
    ) -> tuple[Numbers, Numbers]:
        """Flat places in ascending order, and which entry each one is."""
        columns, width = sides(shape)[1], self._tile(math.prod(shape), len(entry))
        lengths = np.diff(starts)
        rises = bool(starts[0] == 0 and starts[-1] == len(entry) and (lengths >= 0).all())
        refuse_unless(rises, "its tiles do not cover its entries")
        block, tile = np.divmod(np.repeat(np.arange(len(lengths)), lengths), max(tiles, 1))
        column, row = tile * width + (entry >> 5), first[block] + (entry & 31)
        inside = (entry >> 5 < width) & (column < columns) & (row < first[block + 1])
        refuse_unless(bool(inside.all()), "an entry lies outside its tile")
        ordered = (np.diff(entry) > 0) | (np.diff(block * tiles + tile) > 0)
        refuse_unless(bool(ordered.all()), "the entries of a tile do not ascend")
        flat = row * columns + column
        order = np.argsort(flat, kind="stable")
        return flat[order], order

    def _tile(self, size: int, count: int) -> int:
        return self.tile or (512 if count < _SPARSE_BELOW * size else 256)

    def _layout(self, shape: Sequence[int], count: int) -> tuple[int, int, int, int, int]:
        """Blocks, tiles, and where values and positions begin and all ends."""
        rows, columns = sides(shape)
        blocks, tiles = -(-rows // BLOCK_ROWS), -(-columns // self._tile(rows * columns, count))
        values = _line(8 * (_HEADER + blocks * tiles + 1) + 4 * (blocks + 1))
        positions = values + _line(4 * count)
        return blocks, tiles, values, positions, positions + _line(2 * count)


def _line(size: int) -> int:
    return math.ceil(size / _LINE) * _LINE


def _first_rows(rows: int, blocks: int) -> Numbers:
    return np.arange(blocks + 1) * rows // max(blocks, 1)
