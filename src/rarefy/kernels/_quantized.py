"""A weight in low precision as it is stored: rows of integers or halves, every number checked.

Layout, little endian: int64 rows, columns, nonzero; int32 kind, tokens; float32 scale; zeros up to
64; float32 row_scale[rows]; int64 start[rows + 1]; columns[nonzero] (uint16, or uint32 where there
are more than 65536); values[nonzero] (int8 or 16 bits); each part at the next multiple of 64, and
the end is one. The columns of a row ascend.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rarefy.errors import FileError

KINDS = ("w8a8", "w8a16", "w16a16", "bf16", "f16")
"""Bits of weights and activations: integers of 8 or 16, bfloat16, float16; by stored number."""
OWN, CALIBRATED, POSITIVE = range(3)
"""Scales of activations: each token's own; one for all; one for all that are never negative."""

LEAST = float(np.float32(1e-30))
"""Sizes below it are 0 in low precision: their reciprocal would not be finite."""
LARGEST_SUM_8 = (2**31 - 1) // 255
LARGEST_SUM_16 = (2**31 - 1) // 8191
LARGEST_HALF_SUM = 7500.0
"""What the sizes of a row may add up to, so that no sum over a token leaves its type."""
HEAD = struct.Struct("<qqqiif28x")
_FEWEST_LEVELS = 255
_MOST_SIDE = (2**31 - 1) // 2
_PLACES_OF_BYTE, _PLACES_AT_LEAST = 1024, 2**22
"""A section of a few bytes must not ask for much memory: places of the matrix for each byte."""
_STORED = ("<i1", "<i1", "<i2", "<u2", "<f2")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scale of all activations: what the integer 1 stands for.

    Attributes:
        scale: 0 where each token has its own, its largest size over the largest integer.
        positive: The activations are never negative, as after a ReLU, so 0 is the lowest integer.
    """

    scale: float = 0.0
    positive: bool = False

    @property
    def tokens(self) -> int:
        """The number by which the section knows it."""
        return OWN if self.scale == 0 else POSITIVE if self.positive else CALIBRATED


OWN_SCALES = Calibration()
"""Each token has its own scale."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """A checked section: weights are ``numbers`` times the scale of their row.

    Attributes:
        kind: One of :data:`KINDS`.
        shape: Rows and columns.
        row: Of every stored weight, ascending; int64.
        column: Likewise, ascending within a row.
        numbers: float64: the integers or halves as they are stored.
        row_scale: float32.
        levels: Largest integer of a 16-bit activation with which no sum overflows.
    """

    kind: str
    calibration: Calibration
    shape: tuple[int, int]
    row: Tensor
    column: Tensor
    numbers: Tensor
    row_scale: Tensor
    levels: int

    def dense(self) -> Tensor:
        """The stored numbers at their places, float64, rows x columns."""
        values = torch.zeros(self.shape, dtype=torch.float64)
        values[self.row, self.column] = self.numbers
        return values


class Layout:
    """Where the parts of a section lie, in bytes."""

    def __init__(self, kind: int, rows: int, columns: int, count: int) -> None:
        self.column_bytes = 2 if columns <= 65536 else 4
        self.value_bytes = 1 if kind < 2 else 2
        self.row_scale = HEAD.size
        self.start = self.row_scale + _to_64(4 * rows)
        self.column = self.start + _to_64(8 * (rows + 1))
        self.value = self.column + _to_64(self.column_bytes * count)
        self.size = self.value + _to_64(self.value_bytes * count)


def read_quantized(section: Tensor) -> Quantized:
    """The weight of a section, once every number in it is checked.

    Raises:
        FileError: The bytes are not those of a weight in low precision.
    """
    data = section.detach().contiguous().numpy().tobytes()
    rows, columns, count, kind, calibration = _header(data)
    layout = Layout(kind, rows, columns, count)
    if layout.size != len(data):
        raise _damaged("its length is not what its header tells")
    row_scale = np.frombuffer(data, "<f4", rows, layout.row_scale)
    start = np.frombuffer(data, "<i8", rows + 1, layout.start)
    column = np.frombuffer(data, f"<u{layout.column_bytes}", count, layout.column).astype(np.int64)
    stored = np.frombuffer(data, _STORED[kind], count, layout.value)
    for end, begin in (
        (layout.row_scale + 4 * rows, layout.start),
        (layout.start + 8 * (rows + 1), layout.column),
        (layout.column + layout.column_bytes * count, layout.value),
        (layout.value + layout.value_bytes * count, layout.size),
    ):
        if any(data[end:begin]):
            raise _damaged("what lies between its parts is not zero")
    if not bool((np.isfinite(row_scale) & (row_scale > 0)).all()):
        raise _damaged("a row's scale is no scale")
    row = torch.from_numpy(_row_of_each(start, column, columns))
    numbers = _numbers(kind, stored)
    return Quantized(
        KINDS[kind],
        calibration,
        (rows, columns),
        row,
        torch.from_numpy(column),
        numbers,
        torch.from_numpy(row_scale.copy()),
        _levels(kind, torch.zeros(rows, dtype=torch.float64).index_add_(0, row, numbers.abs())),
    )


def dequantized(section: Tensor) -> Tensor:
    """The dense float32 matrix that the stored numbers stand for.

    Raises:
        FileError: The bytes are not those of a weight in low precision.
    """
    weight = read_quantized(section)
    return (weight.dense() * weight.row_scale.double()[:, None]).float()


def _to_64(size: int) -> int:
    return -(-size // 64) * 64


def _header(data: bytes) -> tuple[int, int, int, int, Calibration]:
    """Rows, columns, stored weights, kind and calibration, where they are possible."""
    if len(data) < HEAD.size:
        raise _damaged("it ends before its header does")
    rows, columns, count, kind, tokens, scale = HEAD.unpack_from(data)
    integers = 0 <= kind < 3
    scaled = tokens in (CALIBRATED, POSITIVE)
    good = [
        all(0 <= side <= _MOST_SIDE for side in (rows, columns)),
        rows * columns <= _PLACES_OF_BYTE * len(data) + _PLACES_AT_LEAST,
        0 <= count <= len(data),
        0 <= kind < len(KINDS) and (integers or not scaled),
        tokens == OWN or scaled,
        tokens != POSITIVE or kind == 0,
        math.isfinite(scale) and scale >= LEAST if scaled else data[32:36] == b"\0" * 4,
        not any(data[36 : HEAD.size]),
    ]
    if not all(good):
        raise _damaged("its header is impossible")
    return rows, columns, count, kind, Calibration(scale if scaled else 0.0, tokens == POSITIVE)


def _row_of_each(
    start: NDArray[np.int64], column: NDArray[np.int64], columns: int
) -> NDArray[np.int64]:
    """The row of every stored weight, if starts and columns make rows."""
    counts = np.diff(start)
    if start[0] != 0 or start[-1] != len(column) or bool((counts < 0).any()):
        raise _damaged("its rows do not cover its entries")
    row = np.repeat(np.arange(len(counts)), counts)
    ascends = (np.diff(column) > 0) | (np.diff(row) > 0)
    if not bool(ascends.all()) or bool((column >= columns).any()):
        raise _damaged("the columns of a row do not ascend or lie outside of it")
    return row


def _numbers(kind: int, stored: NDArray[np.generic]) -> Tensor:
    """What the stored numbers are, the scale of their row not counted."""
    if KINDS[kind] == "bf16":
        bits = torch.from_numpy(stored.astype(np.int32)) << 16
        numbers = bits.view(torch.float32).double()
    else:
        numbers = torch.from_numpy(stored.astype(np.float64))
    if not bool(torch.isfinite(numbers).all()):
        raise _damaged("a weight is not finite")
    return numbers


def _levels(kind: int, sums: Tensor) -> int:
    """From what the sizes of every row add up to."""
    largest = float(sums.amax()) if len(sums) else 0.0
    levels = min(int((2**31 - 1) // largest), 32767) if largest >= 1 else 32767
    bounds = (LARGEST_SUM_8, math.inf, math.inf, math.inf, LARGEST_HALF_SUM)
    if largest > bounds[kind] or (0 < kind < 3 and levels < _FEWEST_LEVELS):
        raise _damaged("a row's sum overflows")
    return levels if 0 < kind < 3 else 127


def _damaged(why: str) -> FileError:
    return FileError(f"a weight of low precision is damaged: {why}. Accelerate the model again.")
