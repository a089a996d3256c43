"""Masks as gaps, and which way a file holds a mask."""

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import FileError
from rarefy.formats._bitmask import Bitmask
from rarefy.formats._delta import Delta
from rarefy.formats._dense import Dense
from rarefy.formats._format import Format
from rarefy.formats._kept import Kept, kept_of, weight_and_mask
from rarefy.formats._sizes import held


def pack_gaps(mask: Tensor, width: int) -> Tensor:
    """The mask as gaps from one kept element to the next, in fields of ``width`` bits.

    See :class:`Delta`; with a width of 1 the same as :func:`pack_bits`.

    Args:
        mask: Bool, any shape, device and strides; it may be empty or without sides.
        width: 1 to 8.

    Returns:
        ``uint8`` on the CPU, ``width`` bytes for every eight gaps.

    Raises:
        FileError: The mask is not bool, or there are no such fields.

    >>> pack_gaps(torch.tensor([False, False, True, True]), 4)
    tensor([19,  0,  0,  0], dtype=torch.uint8)
    """
    return torch.from_numpy(Delta(width).arrays(_of(mask))["gaps"])


def unpack_gaps(gaps: Tensor, shape: tuple[int, ...], width: int) -> Tensor:
    """The bool mask of ``shape`` whose packed gaps are ``gaps``, on the CPU.

    Args:
        gaps: ``uint8``, as made by :func:`pack_gaps`.
        shape: Sides of the mask; ``()`` for a single element.
        width: As it was packed.

    Raises:
        FileError: They are of another dtype or length, or lead beyond the mask. Memory is taken
            only for what the gaps can reach: at most 255 elements a byte.

    >>> unpack_gaps(torch.tensor([19, 0, 0, 0], dtype=torch.uint8), (4,), 4)
    tensor([False, False,  True,  True])
    """
    if gaps.dtype != torch.uint8 or gaps.dim() != 1:
        raise FileError(
            f"packed gaps are uint8 with one side; found {gaps.dtype} of shape "
            f"{tuple(gaps.shape)}. The mask is damaged or of another weight."
        )
    places = Delta(width).places(shape, gaps.detach().cpu().contiguous().numpy())
    kept = Kept(shape, torch.bool, places, np.ones(len(places), np.uint8))
    return weight_and_mask(kept)[1]


def held_as(mask: Tensor, itemsize: int) -> tuple[Format, int]:
    """How a file holds a weight with this mask: dense, bitmask or delta, and the bytes it takes.

    Delta comes with its width. See :func:`held`; unlike :func:`smallest` it looks where the kept
    elements lie.

    Args:
        mask: Bool, any shape, device and strides.
        itemsize: Bytes of a value.

    Raises:
        FileError: The mask is not bool.

    >>> held_as(torch.arange(6400) % 64 == 0, 4)
    (Delta(width=7), 491)
    """
    kept = _of(mask)
    values = kept.count * (itemsize - 1)  # on top of the byte that each element of a mask takes
    formats = (Dense(), Bitmask(), Delta().settled(kept))
    sizes = {one.family: one.bytes(kept) + values for one in formats}
    sizes["dense"] = kept.size * itemsize
    chosen = held(sizes)
    return next(one for one in formats if one.family == chosen), sizes[chosen]


def _of(mask: Tensor) -> Kept:
    if mask.dtype != torch.bool:
        raise FileError(f"a mask is bool, True where kept; found {mask.dtype}. Pass mask.bool().")
    return kept_of(mask)
