"""Run-length: every value with the zeros before it; long runs by zeros that are stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import FileError
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
from rarefy.formats._kept import Kept, Numbers, tally

WIDTHS = range(1, 17)


@dataclass(frozen=True, slots=True)
class RunLength(Format):
    """A field of ``width`` bits beside each value: the zeros before it, 0 to 2**width - 1.

    After as many zeros as a field can say comes a filler: a zero that is stored as a value. EIE
    and Deep Compression store so, with 4 or 5 bits in linear layers and 8 in convolutions (Han et
    al., 2015 and 2016). Kept zeros are listed, for they could be fillers.

    Args:
        width: 1 to 16; None takes the one that makes the weight smallest, the narrower where two
            do.
    """

    width: int | None = None

    def __post_init__(self) -> None:
        if self.width is not None and self.width not in WIDTHS:
            raise FileError(f"a run-length field has 1 to {WIDTHS[-1]} bits, not {self.width}.")

    def __str__(self) -> str:
        return "run_length" if self.width is None else f"run_length {self.width}"

    def settled(self, kept: Kept) -> "RunLength":
        """With the best width."""
        if self.width is not None:
            return self
        gaps = tally(kept.gaps)
        return RunLength(min(WIDTHS, key=lambda w: _size(_stored(*gaps, w), w, kept.itemsize)))

    def bytes(self, kept: Kept) -> int:
        """Values, fillers and their fields, and an index a kept zero."""
        width = self.settled(kept).width or WIDTHS[0]
        stored = _stored(*tally(kept.gaps), width)
        return _size(stored, width, kept.itemsize) + zeros_size(kept)

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Gaps are geometric: of density p, q / (1 - q) fillers a value, q = (1 - p)^(2^width)."""
        if not count:
            return 0
        density = count / math.prod(shape)
        widths = WIDTHS if self.width is None else (self.width,)
        return min(
            _size(math.ceil(count / (1 - (1 - density) ** (2**width))), width, itemsize)
            for width in widths
        )

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values`` with their fillers, ``runs`` and ``zeros``."""
        width = self.settled(kept).width or WIDTHS[0]
        gaps = kept.gaps
        fillers = (gaps - 1) // 2**width
        at = np.cumsum(fillers + 1) - 1
        runs = np.full(len(gaps) + int(fillers.sum()), 2**width - 1, np.int64)
        runs[at] = gaps - 1 - fillers * 2**width
        words = np.zeros(len(runs), kept.words.dtype)
        words[at] = kept.words
        return {"values": words, "runs": pack_fields(runs, width), **zeros_part(kept)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        refuse_unless(self.width is not None, "the width of its runs is not known")
        words = words_in(arrays, dtype)
        fields = array_of(arrays, "runs", "u1")
        runs = unpack_fields(fields, self.width or WIDTHS[0], len(words))
        places: Numbers = np.cumsum(runs + 1) - 1
        inside = not len(places) or bool(places[-1] < math.prod(shape))
        refuse_unless(inside, "its runs lead beyond its end")
        return kept_among(shape, dtype, places, words, arrays)


def _stored(gaps: Numbers, often: Numbers, width: int) -> int:
    """Values and fillers."""
    return int((often * ((gaps - 1) // 2**width + 1)).sum())


def _size(stored: int, width: int, itemsize: int) -> int:
    return stored * itemsize + packed_size(stored, width)
