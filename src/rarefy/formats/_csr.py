"""CSR: a column for every kept value, and where each row begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.formats._fields import pack_fields, packed_size, unpack_fields
from rarefy.formats._format import (
    Arrays,
    Format,
    array_of,
    ascends,
    lines_of,
    refuse_unless,
    rows_and_columns,
    starts_of,
    words_in,
)
from rarefy.formats._kept import Kept, Numbers, field_bits, index_type, sides


@dataclass(frozen=True, slots=True)
class Csr(Format):
    """Compressed sparse rows of the matrix first side x the rest; a vector is one row.

    Columns and row starts are int32 as libraries hold them (int64 where that is too short), or,
    narrow, fields of as many bits as they need: ceil(log2 columns), and ceil(log2(kept + 1)) for
    each of rows + 1 starts.
    """

    narrow: bool = False

    def __str__(self) -> str:
        return "csr narrow" if self.narrow else "csr"

    @property
    def family(self) -> str:
        """Narrow or not: these are two."""
        return str(self)

    def bytes(self, kept: Kept) -> int:
        """The same wherever the places lie."""
        return int(self.expected(kept.shape, kept.count, kept.itemsize))

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Values, columns and starts."""
        rows, columns = sides(shape)
        return count * itemsize + index_size(count, columns, rows + 1, self.narrow)

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values``, ``columns`` and ``starts``."""
        rows, columns = sides(kept.shape)
        row, column = rows_and_columns(kept)
        return {"values": kept.words, **indices(column, columns, starts_of(row, rows), self.narrow)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        rows, columns = sides(shape)
        words = words_in(arrays, dtype)
        row, column = positions(arrays, len(words), rows, columns, self.narrow)
        return Kept(shape, dtype, row * columns + column, words)


def index_size(entries: int, columns: int, starts: int, narrow: bool) -> int:
    """Bytes of a column for each entry, and of the starts."""
    if narrow:
        columns_size = packed_size(entries, field_bits(columns))
        return columns_size + packed_size(starts, field_bits(entries + 1))
    return entries * index_type(columns).itemsize + starts * index_type(entries).itemsize


def indices(
    column: Numbers, columns: int, starts: Numbers, narrow: bool
) -> dict[str, npt.NDArray[Any]]:
    """``columns`` and ``starts`` as they are stored."""
    if narrow:
        width = field_bits(len(column) + 1)
        return {
            "columns": pack_fields(column, field_bits(columns)),
            "starts": pack_fields(starts, width),
        }
    return {
        "columns": column.astype(index_type(columns)),
        "starts": starts.astype(index_type(len(column))),
    }


def positions(
    arrays: Arrays, entries: int, rows: int, columns: int, narrow: bool
) -> tuple[Numbers, Numbers]:
    """Row and column of every entry, checked: in range, and ascending.

    Raises:
        FileError: They are not, or the stored arrays are of another length or dtype.
    """
    if narrow:
        column = unpack_fields(array_of(arrays, "columns", "u1"), field_bits(columns), entries)
        starts = unpack_fields(array_of(arrays, "starts", "u1"), field_bits(entries + 1), rows + 1)
    else:
        kinds = index_type(columns).str, index_type(entries).str
        column = array_of(arrays, "columns", kinds[0], entries).astype(np.int64)
        starts = array_of(arrays, "starts", kinds[1], rows + 1).astype(np.int64)
    row = lines_of(starts, entries)
    inside = not entries or bool(column.min() >= 0 and column.max() < columns)
    refuse_unless(inside, f"a column is not among the {columns} there are")
    refuse_unless(ascends(row * columns + column, rows * columns), "columns do not ascend")
    return row, column
