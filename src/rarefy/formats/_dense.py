"""Dense: every value, kept or not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.formats._format import Arrays, Format, kept_among, words_in, zeros_part, zeros_size
from rarefy.formats._kept import Kept


@dataclass(frozen=True, slots=True)
class Dense(Format):
    """Every value in row-major order; kept zeros are listed."""

    def __str__(self) -> str:
        return "dense"

    def bytes(self, kept: Kept) -> int:
        """Size times bytes of a value, and an index a kept zero."""
        return kept.size * kept.itemsize + zeros_size(kept)

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:  # noqa: ARG002
        """The same for any count."""
        return math.prod(shape) * itemsize

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values`` and ``zeros``."""
        words = np.zeros(kept.size, kept.words.dtype)
        words[kept.places] = kept.words
        return {"values": words, **zeros_part(kept)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        words = words_in(arrays, dtype, math.prod(shape))
        return kept_among(shape, dtype, np.arange(len(words)), words, arrays)
