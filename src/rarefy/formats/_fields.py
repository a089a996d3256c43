"""Whole numbers in fields of a few bits each, one after another, the lowest bit first."""

import numpy as np
import numpy.typing as npt

from rarefy.errors import FileError
from rarefy.formats._kept import Numbers

MOST_BITS = 63
_AT_ONCE = 2**16
"""Fields that are taken apart at once; a multiple of 8, so that pieces meet at whole bytes."""


def packed_size(count: int, width: int) -> int:
    """Bytes of ``count`` fields of ``width`` bits."""
    return (count * width + 7) // 8


def pack_fields(numbers: Numbers, width: int) -> npt.NDArray[np.uint8]:
    """The numbers as bytes: number i in bits i * width and up; bits after the last are zero.

    Args:
        numbers: Each in [0, 2**width).
        width: Bits of a field, 0 to 63; with 0 every number is 0 and takes nothing.

    >>> pack_fields(np.array([1, 2, 3]), 3)
    array([209,   0], dtype=uint8)
    """
    data = np.zeros(packed_size(len(numbers), width), np.uint8)
    places = np.arange(width, dtype=np.int64)
    for begin in range(0, len(numbers), _AT_ONCE):
        piece = numbers[begin : begin + _AT_ONCE].astype(np.int64, copy=False)
        bits = ((piece[:, None] >> places) & 1).astype(np.bool_)
        packed = np.packbits(bits.reshape(-1), bitorder="little")
        at = begin * width // 8
        data[at : at + len(packed)] = packed
    return data


def unpack_fields(data: npt.NDArray[np.uint8], width: int, count: int) -> Numbers:
    """The ``count`` numbers that :func:`pack_fields` put into ``data``.

    Raises:
        FileError: Another length, or a bit is set after the last field.
    """
    wanted = packed_size(count, width)
    if data.dtype != np.uint8 or data.shape != (wanted,):
        raise FileError(
            f"{count} fields of {width} bits are {wanted} bytes; found {data.dtype} of shape "
            f"{data.shape}. It is damaged."
        )
    if count * width % 8 and data[-1] >> count * width % 8:
        raise FileError(f"bits are set after the last of {count} fields. It is damaged.")
    numbers = np.zeros(count, np.int64)
    wide = next(w for w in (8, 16, 32, 64) if w >= width)
    for begin in range(0, count if width else 0, _AT_ONCE):
        length = min(_AT_ONCE, count - begin)
        at = begin * width // 8
        piece = data[at : at + packed_size(length, width)]
        bits = np.zeros((length, wide), np.uint8)
        bits[:, :width] = np.unpackbits(piece, count=length * width, bitorder="little").reshape(
            length, width
        )
        numbers[begin : begin + length] = np.packbits(bits, axis=1, bitorder="little").view(
            f"<u{wide // 8}"
        )[:, 0]
    return numbers
