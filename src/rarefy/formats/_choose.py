"""The bytes of one weight in every format, the smallest, and where the next one takes over."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy.formats._bitmask import Bitmask
from rarefy.formats._break_even import last_count
from rarefy.formats._bsr import Bsr
from rarefy.formats._coo import Coo
from rarefy.formats._csr import Csr
from rarefy.formats._delta import Delta
from rarefy.formats._dense import Dense
from rarefy.formats._format import Format, Size
from rarefy.formats._kept import Kept, kept_of, words_of
from rarefy.formats._n_of_m import NofM
from rarefy.formats._packed import Packed
from rarefy.formats._run_length import RunLength
from rarefy.formats._sizes import entropy_bits


def _blocks(narrow: bool) -> tuple[Format, ...]:
    sides = ((4, 4), (4, 1), (1, 4), (8, 8), (16, 1), (16, 16))
    return tuple(Bsr(*block, narrow=narrow) for block in sides)


FAMILIES: tuple[tuple[Format, ...], ...] = (
    (Dense(),),
    (Bitmask(),),
    (Delta(),),
    (RunLength(),),
    (Csr(),),
    (Coo(),),
    _blocks(narrow=False),
    (Csr(narrow=True),),
    (Coo(narrow=True),),
    _blocks(narrow=True),
    tuple(NofM(*pattern) for pattern in ((1, 8), (1, 4), (2, 8), (1, 2), (2, 4), (4, 8))),
    (Packed(),),
)
"""What :func:`choose` compares; of each family the smallest that holds the weight."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a weight takes in every format."""

    bytes: Mapping[str, int]
    """Format to bytes, exactly, one of each family that can hold the weight; see ``families``."""
    families: Mapping[str, str]
    """Family to its format in ``bytes``, whose settings are the best for this weight, as ``bsr`` to
    ``bsr 4x1``. Families are dense, bitmask, delta, run_length, csr, coo, bsr, n:m, packed; csr
    narrow, coo narrow and bsr narrow are further ones."""
    smallest: str
    """Format with the fewest bytes; the simpler where two are equal."""
    least: int
    """Values, and the entropy n H(m / n) of independent places: no format that knows nothing of the
    pattern takes less, but for luck."""
    next: str | None
    """Family that is the first to be smaller if more is removed in the same pattern, if any is."""
    next_sparsity: float | None
    """From which sparsity on."""


def choose(weight: Tensor, mask: Tensor | None = None) -> Choice:
    """Bytes of ``weight`` in every format by formula, the smallest, and the next break-even.

    Where the next format takes over is found by thinning out what is kept: places as uneven, and
    blocks as full, as they are now. An n:m pattern keeps its slots.

    Args:
        weight: Any shape, dtype, device and strides.
        mask: Bool, True where kept. Without it every value but +0.0 is kept.

    Raises:
        FileError: The mask does not go with the weight.
        InvariantError: A removed weight is not zero.

    >>> choice = choose(torch.eye(64))
    >>> choice.smallest, choice.bytes["delta 7"], choice.bytes["dense"]
    ('delta 7', 312, 16384)
    """
    if _is_full(weight, mask):
        # Where everything is kept nothing needs to be looked at, and places would take memory.
        shape, size = tuple(weight.shape), weight.numel()
        return _chosen(_of_full(shape, weight.dtype), size, size, weight.dtype.itemsize)
    kept = kept_of(weight, mask)
    return _chosen(_of_kept(kept), kept.size, kept.count, kept.itemsize)


def _is_full(weight: Tensor, mask: Tensor | None) -> bool:
    if not weight.numel() or weight.element_size() > 8 or not words_of(weight).all():
        return False
    if mask is None:
        return True
    return mask.dtype == torch.bool and mask.shape == weight.shape and bool(mask.all())


@dataclass(frozen=True, slots=True)
class _Held:
    format: Format
    bytes: int
    thinned: Size


def _of_full(shape: tuple[int, ...], dtype: torch.dtype) -> list[_Held]:
    size, itemsize = math.prod(shape), dtype.itemsize
    held = []
    for family in FAMILIES:
        if isinstance(family[0], Packed) and dtype != torch.float32:
            continue
        sizes = {one: one.expected(shape, size, itemsize) for one in family}
        best = min(sizes, key=sizes.__getitem__)
        if math.isfinite(sizes[best]):
            thinned = functools.partial(_expected, best, shape, itemsize)
            # Of a full weight every gap is 1.
            settled = type(best)(1) if isinstance(best, Delta | RunLength) else best
            held.append(_Held(settled, round(sizes[best]), thinned))
    return held


def _expected(one: Format, shape: tuple[int, ...], itemsize: int, count: int) -> float:
    return one.expected(shape, count, itemsize)


def _of_kept(kept: Kept) -> list[_Held]:
    held = []
    for family in FAMILIES:
        sizes = {one: one.bytes(kept) for one in family if one.fits(kept)}
        if sizes:
            best = min(sizes, key=sizes.__getitem__)
            # Thinned with any width: the best one changes with the sparsity.
            thinned = best.thinned(kept, sizes[best])
            held.append(_Held(best.settled(kept), sizes[best], thinned))
    return held


def _chosen(held: Sequence[_Held], size: int, count: int, itemsize: int) -> Choice:
    now = min(held, key=lambda one: one.bytes)
    following: dict[str, int] = {}
    for other in held:
        if other is not now:
            found = last_count(now.thinned, other.thinned, count)
            if found is not None:
                following[other.format.family] = found
    first = max(following, key=following.__getitem__) if following else None
    return Choice(
        bytes={str(one.format): one.bytes for one in held},
        families={one.format.family: str(one.format) for one in held},
        smallest=str(now.format),
        least=count * itemsize + math.ceil(entropy_bits(size, count) / 8),
        next=first,
        next_sparsity=None if first is None else 1 - following[first] / size,
    )
