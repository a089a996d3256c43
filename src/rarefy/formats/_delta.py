"""Delta: the way from one kept place to the next, in fields of a few bits; long ways by escapes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import FileError
from rarefy.formats._fields import pack_fields, unpack_fields
from rarefy.formats._format import Arrays, Format, array_of, refuse_unless, words_in
from rarefy.formats._kept import Kept, Numbers, tally

WIDTHS = range(1, 9)
"""Bits of a field. No more than 8, so that a byte never stands for more than 255 places: what is
read can be at most so much larger than what is stored, whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Delta(Format):
    """A field of ``width`` bits says how far the next kept place is: 1 to 2**width - 1.

    0 is the escape: 2**width - 1 places further, and nothing is kept on the way or there. The
    fields go on until they have covered the weight, and are stored in whole groups of eight, so
    that eight fields take ``width`` bytes. With a width of 1 it is the bitmask, bit by bit.

    Args:
        width: 1 to 8; None takes the one that makes the weight smallest, the narrower where two do.
    """

    width: int | None = None

    def __post_init__(self) -> None:
        if self.width is not None and self.width not in WIDTHS:
            raise FileError(f"a delta field has 1 to {WIDTHS[-1]} bits, not {self.width}.")

    def __str__(self) -> str:
        return "delta" if self.width is None else f"delta {self.width}"

    def settled(self, kept: Kept) -> "Delta":
        """With the best width."""
        return self if self.width is not None else Delta(_best(kept)[0])

    def fields(self, kept: Kept) -> int:
        """How many fields it takes, before the last group is filled up."""
        width = self.settled(kept).width or WIDTHS[0]
        return _fields(*tally(kept.gaps), kept.tail, width)

    def bytes(self, kept: Kept) -> int:
        """The kept values, and ``width`` bytes for every eight fields."""
        return kept.count * kept.itemsize + (
            _best(kept)[1] if self.width is None else _size(self.fields(kept), self.width)
        )

    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Gaps are geometric: of density p, a field is an escape with q = (1 - p)^(2^width - 1).

        So ``count`` values take count / (1 - q) fields, and never less than cover the weight.
        """
        widths = WIDTHS if self.width is None else (self.width,)
        fields = min(_size(_expected(math.prod(shape), count, width), width) for width in widths)
        return count * itemsize + fields

    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """``values`` and ``gaps``."""
        settled = self.settled(kept)
        width, longest = settled.width or WIDTHS[0], _longest(settled.width or WIDTHS[0])
        gaps = kept.gaps
        escapes = (gaps - 1) // longest
        count = settled.fields(kept)
        fields = np.zeros(-(-count // 8) * 8, np.int64)
        fields[np.cumsum(escapes + 1) - 1] = gaps - escapes * longest
        return {"values": kept.words, "gaps": pack_fields(fields, width)}

    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """See :meth:`Format.kept`."""
        places = self.places(shape, array_of(arrays, "gaps", "u1"))
        return Kept(shape, dtype, places, words_in(arrays, dtype, len(places)))

    def places(self, shape: tuple[int, ...], data: npt.NDArray[np.uint8]) -> Numbers:
        """Where the gaps in ``data`` lead.

        Raises:
            FileError: Not through a weight of that shape, or in more bytes than it takes.
        """
        refuse_unless(self.width is not None, "the width of its gaps is not known")
        size, width = math.prod(shape), self.width or WIDTHS[0]
        refuse_unless(len(data) % width == 0, f"{len(data)} bytes hold no groups of {width} bits")
        # Before anything of the weight's size is made: nobody claims more than the bytes can say.
        covered = len(data) // width * 8 * _longest(width)
        refuse_unless(size <= covered, f"its gaps cover at most {covered} places of {size}")
        fields = unpack_fields(data, width, len(data) // width * 8)
        alive = fields > 0
        ends = np.cumsum(np.where(alive, fields, _longest(width)))
        places: Numbers = ends[alive] - 1
        refuse_unless(not len(places) or places[-1] < size, "its gaps lead beyond its end")
        found = Kept(shape, torch.bool, places, np.ones(len(places), np.uint8))
        wanted = _size(self.fields(found), width)
        refuse_unless(len(data) == wanted, f"its gaps take {len(data)} bytes, not {wanted}")
        return places


def _longest(width: int) -> int:
    return int(2**width - 1)


def _size(fields: int, width: int) -> int:
    return -(-fields // 8) * width


def _fields(gaps: Numbers, often: Numbers, tail: int, width: int) -> int:
    longest = _longest(width)
    return int((often * ((gaps - 1) // longest + 1)).sum()) + -(-tail // longest)


def _best(kept: Kept) -> tuple[int, int]:
    """The best width, and the bytes of the fields."""
    gaps, often = tally(kept.gaps)
    sizes = {width: _size(_fields(gaps, often, kept.tail, width), width) for width in WIDTHS}
    best = min(WIDTHS, key=sizes.__getitem__)
    return best, sizes[best]


def _expected(size: int, count: int, width: int) -> int:
    longest = _longest(width)
    least = -(-size // longest)
    if not count:
        return least
    density = count / size
    return max(least, math.ceil(count / (1 - (1 - density) ** longest)))
