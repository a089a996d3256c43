"""n:m: n slots for every m consecutive inputs, and the place of each within its group."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import PatternError
from rarefy.formats._fields import pack_fields, packed_size, unpack_fields
from rarefy.formats._format import (
    Arrays,
    Format,
    array_of,
    kept_among,
    refuse_unless,
    words_in,
    zeros_part,
    zeros_size,
)
from rarefy.formats._kept import Kept, Numbers, field_bits, inputs_back, inputs_last, sides


@dataclass(frozen=True, slots=True)
class NofM(Format):
    """``n`` values of every ``m`` inputs at a fixed kernel position, with ceil(log2 m) bits each.

    Slots of a group ascend; one that is not needed holds a zero at a free place, the lowest first.
    The last group of a row may be short. Kept zeros are listed.

    Raises:
        PatternError: Not 0 < n < m.
    """

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.n < self.m:
            raise PatternError(f"n:m keeps n of every m, so 0 < n < m; got {self.n}:{self.m}")

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def family(self) -> str:
        """For all n and m."""
        return "n:m"

    def fits(self, kept: Kept) -> bool:
        """Whether no group keeps more than ``n``."""
        group = self._group_and_slot(kept.shape, kept.places)[0]
        return not kept.count or int(np.bincount(group).max()) <= self.n

    def bytes(self, kept: Kept) -> int:
        """Slots and their places, and an index a kept zero."""
        return int(self.expected(kept.shape, kept.count, kept.itemsize)) + zeros_size(kept)

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """The same for any count: slots do not go away. Infinite where there are too few."""
        slots = self._groups(shape) * sides(shape)[0] * self.n
        if count > slots:
            return math.inf
        return slots * itemsize + packed_size(slots, field_bits(self.m))

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values``, ``places`` and ``zeros``."""
        if not self.fits(kept):
            raise PatternError(
                f"a weight of shape {kept.shape} keeps more than {self.n} of {self.m} inputs "
                "somewhere, so n:m storage cannot hold it. Prune it to that pattern, or choose "
                "another format."
            )
        groups = self._groups(kept.shape) * sides(kept.shape)[0]
        group, slot = self._group_and_slot(kept.shape, kept.places)
        # Taken places sort before free ones, then the first n of each group by place.
        free = np.ones((groups, self.m), np.bool_)
        free[group, slot] = False
        chosen = np.sort(np.argsort(free, axis=1, kind="stable")[:, : self.n], axis=1)
        words = np.zeros((groups, self.m), kept.words.dtype)
        words[group, slot] = kept.words
        values = np.take_along_axis(words, chosen, axis=1).reshape(-1)
        places = pack_fields(chosen.reshape(-1).astype(np.int64), field_bits(self.m))
        return {"values": values, "places": places, **zeros_part(kept)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        rows, columns = sides(shape)
        across = self._groups(shape)
        words = words_in(arrays, dtype, rows * across * self.n)
        fields = array_of(arrays, "places", "u1")
        slot = unpack_fields(fields, field_bits(self.m), len(words)).reshape(-1, self.n)
        rises = bool((np.diff(slot, axis=1) > 0).all() and (slot < self.m).all())
        refuse_unless(rises, f"the places of a group are not ascending places of {self.m}")
        row, group = np.divmod(np.arange(rows * across), max(across, 1))
        column = (group[:, None] * self.m + slot).reshape(-1)
        inside = column < columns
        refuse_unless(not words[~inside].any(), "a group has values beyond its row")
        moved = (np.repeat(row, self.n) * columns + column)[inside]
        return kept_among(shape, dtype, inputs_back(shape, moved), words[inside], arrays)

    def _groups(self, shape: Sequence[int]) -> int:
        """Groups of a row."""
        return -(-sides(shape)[1] // self.m)

    def _group_and_slot(self, shape: Sequence[int], places: Numbers) -> tuple[Numbers, Numbers]:
        row, column = np.divmod(inputs_last(shape, places), max(sides(shape)[1], 1))
        return row * self._groups(shape) + column // self.m, column % self.m
