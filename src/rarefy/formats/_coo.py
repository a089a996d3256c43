"""COO: a row and a column for every kept value."""

import math
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
    refuse_unless,
    rows_and_columns,
    words_in,
)
from rarefy.formats._kept import Kept, field_bits, index_type, sides


@dataclass(frozen=True, slots=True)
class Coo(Format):
    """Coordinates in the matrix first side x the rest, int32 each (int64 where that is too short).

    Narrow, it is the flat place in a field of ceil(log2 size) bits.
    """

    narrow: bool = False

    def __str__(self) -> str:
        return "coo narrow" if self.narrow else "coo"

    @property
    def family(self) -> str:
        """Narrow or not: these are two."""
        return str(self)

    def bytes(self, kept: Kept) -> int:
        """The same wherever the places lie."""
        return int(self.expected(kept.shape, kept.count, kept.itemsize))

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Values and coordinates."""
        if self.narrow:
            return count * itemsize + packed_size(count, field_bits(math.prod(shape)))
        return count * (itemsize + sum(index_type(side).itemsize for side in sides(shape)))

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values``, and ``rows`` and ``columns``, or narrow ``places``."""
        if self.narrow:
            places = pack_fields(kept.places, field_bits(kept.size))
            return {"values": kept.words, "places": places}
        rows, columns = sides(kept.shape)
        row, column = rows_and_columns(kept)
        return {
            "values": kept.words,
            "rows": row.astype(index_type(rows)),
            "columns": column.astype(index_type(columns)),
        }

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        words = words_in(arrays, dtype)
        size = math.prod(shape)
        if self.narrow:
            fields = array_of(arrays, "places", "u1")
            places = unpack_fields(fields, field_bits(size), len(words))
        else:
            rows, columns = sides(shape)
            row = array_of(arrays, "rows", index_type(rows).str, len(words)).astype(np.int64)
            column = array_of(arrays, "columns", index_type(columns).str, len(words))
            inside = not len(words) or bool(column.min() >= 0 and column.max() < columns)
            refuse_unless(inside, f"a column is not among the {columns} there are")
            places = row * columns + column
        refuse_unless(ascends(places, size), "the places are not ascending places of the weight")
        return Kept(shape, dtype, places, words)
