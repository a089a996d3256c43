"""What a storage format can do, and what its decoders check."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rarefy.errors import FileError
from rarefy.formats._kept import Kept, Numbers, Words, index_type, sides

Arrays = Mapping[str, npt.NDArray[Any]]
"""Name to what is stored; ``values`` are the elements' bits."""
Size = Callable[[int], float]
"""Kept places to bytes."""


@dataclass(frozen=True, slots=True)
class Format(ABC):
    """One way to store a weight; equal settings are equal formats, and ``str`` names them."""

    @property
    def family(self) -> str:
        """The name without its settings."""
        return str(self).split()[0]

    def settled(self, kept: Kept) -> "Format":  # noqa: ARG002 - for those with something to settle
        """This format with every setting that was left open chosen for ``kept``."""
        return self

    def fits(self, kept: Kept) -> bool:  # noqa: ARG002 - most hold anything
        """Whether it can hold ``kept`` at all."""
        return True

    @abstractmethod
    def bytes(self, kept: Kept) -> int:
        """Bytes that ``kept`` takes, by formula; equal to what :meth:`arrays` makes."""

    @abstractmethod
    def expected(self, shape: Sequence[int], count: int, itemsize: int) -> float:
        """Bytes for ``count`` places spread evenly at random, none of whose values is zero."""

    def thinned(self, kept: Kept, now: int) -> Size:
        """Bytes by how many of what is kept are left, thinned out in the same pattern.

        Args:
            kept: What is kept now.
            now: The :meth:`bytes` that it takes.
        """
        shape, itemsize = kept.shape, kept.itemsize
        expected = self.expected(shape, kept.count, itemsize)
        share = now / expected if expected else 1.0
        return lambda count: self.expected(shape, count, itemsize) * share

    @abstractmethod
    def arrays(self, kept: Kept) -> dict[str, npt.NDArray[Any]]:
        """What is stored, by name. Every setting must be settled."""

    @abstractmethod
    def kept(self, shape: tuple[int, ...], dtype: torch.dtype, arrays: Arrays) -> Kept:
        """What :meth:`arrays` stored.

        Raises:
            FileError: Anything about it cannot be; nothing out of range gets through.
        """


def refuse_unless(holds: bool, problem: str) -> None:
    """Raise where a decoder's condition does not hold.

    Raises:
        FileError: With ``problem`` as its text.
    """
    if not holds:
        raise FileError(f"{problem}. The stored weight is damaged.")


def array_of(arrays: Arrays, name: str, dtype: str, length: int | None = None) -> npt.NDArray[Any]:
    """One stored array, of the dtype and length it must have.

    Raises:
        FileError: It is missing, or has others.
    """
    found = arrays.get(name)
    wanted = np.dtype(dtype)
    if found is None or found.dtype != wanted or found.ndim != 1:
        raise FileError(
            f"the part {name!r} of a stored weight is {wanted} with one side; found "
            f"{'nothing' if found is None else f'{found.dtype} of shape {found.shape}'}."
        )
    refuse_unless(length in (None, len(found)), f"{name} has {len(found)} entries, not {length}")
    return found


def words_in(arrays: Arrays, dtype: torch.dtype, length: int | None = None) -> Words:
    """The stored values, as bits.

    Raises:
        FileError: They are missing, or of another width or number.
    """
    return array_of(arrays, "values", f"<u{dtype.itemsize}", length)


def zeros_part(kept: Kept) -> dict[str, npt.NDArray[Any]]:
    """Kept zeros by their places, for formats whose padding they could not be told from."""
    return {"zeros": kept.zeros.astype(index_type(kept.size))}


def zeros_size(kept: Kept) -> int:
    """Bytes of :func:`zeros_part`."""
    return len(kept.zeros) * index_type(kept.size).itemsize


def kept_among(
    shape: tuple[int, ...], dtype: torch.dtype, places: Numbers, words: Words, arrays: Arrays
) -> Kept:
    """What is kept where zeros are padding, except those listed as kept.

    Args:
        shape: Of the weight.
        dtype: Of its values.
        places: Where a value is stored, flat, in any order, each once.
        words: Those values.
        arrays: With the ``zeros`` of :func:`zeros_part`.

    Raises:
        FileError: A listed zero is no place of the weight, or not zero.
    """
    size = math.prod(shape)
    zeros = array_of(arrays, "zeros", index_type(size).str).astype(np.int64)
    refuse_unless(ascends(zeros, size), "the kept zeros are not ascending places of the weight")
    dense = np.zeros(size, words.dtype)
    dense[places] = words
    mask = dense != 0
    refuse_unless(not mask[zeros].any(), "a kept zero has a value")
    mask[zeros] = True
    every = np.flatnonzero(mask)
    return Kept(shape, dtype, every, dense[every])


def ascends(numbers: Numbers, end: int) -> bool:
    """Whether ``numbers`` are strictly ascending in [0, end)."""
    if not len(numbers):
        return True
    return bool(numbers[0] >= 0 and numbers[-1] < end and (np.diff(numbers) > 0).all())


def starts_of(lines: Numbers, count: int) -> Numbers:
    """Where each of ``count`` lines begins among entries sorted by line, and the end."""
    starts: Numbers = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(lines, minlength=count), out=starts[1:])
    return starts


def lines_of(starts: Numbers, entries: int) -> Numbers:
    """The line of each entry; the inverse of :func:`starts_of`.

    Raises:
        FileError: They do not rise from 0 to the number of entries.
    """
    lengths = np.diff(starts)
    rises = bool(starts[0] == 0 and starts[-1] == entries and (lengths >= 0).all())
    refuse_unless(rises, "the starts of the rows do not rise from 0 to the number of entries")
    return np.repeat(np.arange(len(lengths)), lengths)


def rows_and_columns(kept: Kept) -> tuple[Numbers, Numbers]:
    """Row and column of every kept place in the matrix first side x the rest."""
    columns = sides(kept.shape)[1]
    if not kept.count:
        return kept.places, kept.places
    rows, column = np.divmod(kept.places, columns)
    return rows, column
