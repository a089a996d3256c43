"""Bitmask: one bit a weight, and the kept values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.formats._bits import pack_bits, unpack_bits
from rarefy.formats._format import Arrays, Format, array_of, words_in
from rarefy.formats._kept import Kept


@dataclass(frozen=True, slots=True)
class Bitmask(Format):
    """Bit i is set where place i is kept; see :func:`pack_bits`."""

    def __str__(self) -> str:
        return "bitmask"

    def bytes(self, kept: Kept) -> int:
        """Size / 8, rounded up, and the kept values."""
        return int(self.expected(kept.shape, kept.count, kept.itemsize))

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Wherever the places lie."""
        return (math.prod(shape) + 7) // 8 + count * itemsize

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values`` and ``bits``."""
        mask = np.zeros(kept.size, np.bool_)
        mask[kept.places] = True
        return {"values": kept.words, "bits": pack_bits(torch.from_numpy(mask)).numpy()}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        bits = array_of(arrays, "bits", "u1")
        mask = unpack_bits(torch.from_numpy(bits), shape)
        places = np.flatnonzero(mask.reshape(-1).numpy())
        return Kept(shape, dtype, places, words_in(arrays, dtype, len(places)))
