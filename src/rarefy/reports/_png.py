"""Writes a palette picture as PNG, with nothing but zlib."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, each 0 to 255."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(rows: NDArray[np.uint8], width: int, depth: int, palette: Sequence[Colour]) -> bytes:
    """A PNG whose pixels are places in ``palette``.

    W3C, "Portable Network Graphics", third edition, sections 5 and 11: chunks IHDR, PLTE, tRNS,
    IDAT, IEND; each row starts with a byte that names its filter, here always 0 (none).

    Args:
        rows: Height x bytes per row. With depth 8 a byte is a pixel; with depth 1 it is eight,
            the first in the highest bit, as ``numpy.packbits`` packs them.
        width: Pixels per row.
        depth: Bits per pixel, 1 or 8.
        palette: At most ``2 ** depth`` colours.
    """
    height = len(rows)
    header = struct.pack(">IIBBBBB", width, height, depth, 3, 0, 0, 0)
    filtered = np.zeros((height, rows.shape[1] + 1), dtype=np.uint8)
    filtered[:, 1:] = rows
    colours = bytes(part for colour in palette for part in colour[:3])
    opacities = bytes(colour[3] for colour in palette)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", colours),
            _chunk(b"tRNS", opacities),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
