"""A weight as its kept places and values: what every format stores, each in its own way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rarefy.errors import FileError, InvariantError

Numbers = npt.NDArray[np.int64]
"""Whole numbers: flat places, sides, gaps."""
Words = npt.NDArray[Any]
"""Elements as unsigned integers of the same width: what is copied and compared."""

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The kept places of a weight and the bits of what stands there."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    places: Numbers
    """Flat, row-major, ascending."""
    words: Words
    """The values, in the order of ``places``."""

    @property
    def size(self) -> int:
        """Places in the weight, kept or not."""
        return math.prod(self.shape)

    @property
    def count(self) -> int:
        """Kept places."""
        return len(self.places)

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    @property
    def gaps(self) -> Numbers:
        """How far each kept place is from the one before, the first from just before the start."""
        gaps: Numbers = np.diff(self.places, prepend=-1)
        return gaps

    @property
    def tail(self) -> int:
        """Places after the last kept one."""
        return self.size - 1 - (int(self.places[-1]) if self.count else -1)

    @property
    def zeros(self) -> Numbers:
        """Kept places whose value is +0.0, which padding cannot be told from."""
        zeros: Numbers = self.places[self.words == 0]
        return zeros


def kept_of(weight: Tensor, mask: Tensor | None = None) -> Kept:
    """What ``mask`` keeps of ``weight``.

    Args:
        weight: Any shape, device and strides; dense.
        mask: Bool, shaped like the weight. Without it every value but +0.0 is kept, bit by bit.

    Raises:
        FileError: The mask is of another shape or dtype, or values are wider than 8 bytes.
        InvariantError: A removed weight is not zero.
    """
    words = words_of(weight)
    shape = tuple(weight.shape)
    if mask is None:
        places = np.flatnonzero(words)
        return Kept(shape, weight.dtype, places, words[places])
    if mask.dtype != torch.bool or mask.shape != weight.shape:
        raise FileError(
            f"a mask is bool, True where kept, and shaped like its weight {shape}; found "
            f"{mask.dtype} of shape {tuple(mask.shape)}."
        )
    mask = mask.detach().cpu()
    alive = int(((weight.detach().cpu() != 0) & ~mask).sum())
    if alive:
        raise InvariantError(
            f"{alive} removed weights are not zero, so they would be lost. Zero them first, or "
            "encode without a mask."
        )
    places = np.flatnonzero(mask.contiguous().reshape(-1).numpy())
    return Kept(shape, weight.dtype, places, words[places])


def weight_and_mask(kept: Kept) -> tuple[Tensor, Tensor]:
    """The dense weight, +0.0 where nothing is kept, and its mask; both on the CPU."""
    words = np.zeros(kept.size, kept.words.dtype)
    words[kept.places] = kept.words
    mask = np.zeros(kept.size, np.bool_)
    mask[kept.places] = True
    return values_of(words, kept.dtype).reshape(kept.shape), torch.from_numpy(mask).reshape(
        kept.shape
    )


def words_of(tensor: Tensor) -> Words:
    """The elements in row-major order, bit by bit.

    Raises:
        FileError: They are wider than 8 bytes.
    """
    if tensor.element_size() > 8:
        raise FileError(f"{tensor.dtype} has values wider than 8 bytes, which no format stores.")
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().view(f"<u{flat.element_size()}")


def values_of(words: Words, dtype: torch.dtype) -> Tensor:
    """The tensor of one side whose elements are ``words``; it shares their memory."""
    return torch.from_numpy(np.ascontiguousarray(words).view(np.uint8)).view(dtype)


def sides(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the matrix first side x the rest; a vector is one row."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


def inputs_last(shape: Sequence[int], places: Numbers) -> Numbers:
    """Where each place comes to lie when the kernel sides of a convolution go before its inputs.

    Blocks and n:m groups run along the inputs at a fixed kernel position. The result is as long
    as ``places`` and in their order, so it need not ascend.
    """
    if len(shape) < 3:
        return places
    inputs, kernel = shape[1], math.prod(shape[2:])
    rows, rest = np.divmod(places, inputs * kernel)
    column, position = np.divmod(rest, kernel)
    moved: Numbers = (rows * kernel + position) * inputs + column
    return moved


def inputs_back(shape: Sequence[int], moved: Numbers) -> Numbers:
    """The places that :func:`inputs_last` moved."""
    if len(shape) < 3:
        return moved
    inputs, kernel = shape[1], math.prod(shape[2:])
    rows, rest = np.divmod(moved, inputs * kernel)
    position, column = np.divmod(rest, inputs)
    places: Numbers = (rows * inputs + column) * kernel + position
    return places


def index_type(largest: int) -> "np.dtype[Any]":
    """The whole numbers that real layouts use for indices up to ``largest``."""
    return np.dtype("<i4" if largest <= _INT32_MAX else "<i8")


def tally(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Different numbers, ascending, and how often each is there."""
    if len(numbers) and int(numbers.max()) <= 16 * len(numbers):
        often = np.bincount(numbers)
        different = np.flatnonzero(often)
        counts: Numbers = often[different]
        return different, counts
    found: tuple[Numbers, Numbers] = np.unique(numbers, return_counts=True)
    return found


def field_bits(values: int) -> int:
    """Bits that tell ``values`` things apart: ceil(log2(values)); none for one thing or none."""
    return (values - 1).bit_length() if values > 1 else 0
