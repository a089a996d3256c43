"""The section of a sparse weight: row blocks x column tiles, nothing padded, every index checked.

The same bytes are made by the compiled library and by the numpy lines here, their reference twin.
Layout, little endian: int64 rows, columns, tile, blocks, tiles, nonzero; int64 start[blocks * tiles
+ 1]; int32 first_row[blocks + 1]; float32 values[nonzero]; uint16 positions[nonzero]; values,
positions and the end lie at multiples of 64. docs/kernels.md tells it with an example.
"""

import ctypes
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rarefy import _native
from rarefy.errors import FileError, PatternError
from rarefy.kernels._threads import settle_threads

BLOCK_ROWS = 30
LARGEST_TILE = 2048
_HEADER = 6
_ROW_BITS = 5
_SPARSE_BELOW = 0.07
"""Density under which tiles are 512 columns wide, so that a tile still holds some entries a row."""

_SIZE = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int32,
    ctypes.c_int,
)
_PACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int32,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int64,
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the parts of a section lie, in bytes."""

    blocks: int
    tiles: int
    first_row: int
    values: int
    positions: int
    size: int

    @classmethod
    def of(cls, rows: int, columns: int, tile: int, nonzero: int) -> "_Layout":
        blocks, tiles = -(-rows // BLOCK_ROWS), -(-columns // tile)
        first_row = 8 * _HEADER + 8 * (blocks * tiles + 1)
        values = _to_64(first_row + 4 * (blocks + 1))
        positions = values + _to_64(4 * nonzero)
        return cls(blocks, tiles, first_row, values, positions, positions + _to_64(2 * nonzero))


@dataclass(frozen=True, slots=True)
class _Parts:
    """A checked section: views of its bytes."""

    rows: int
    columns: int
    tile: int
    start: NDArray[np.int64]
    first_row: NDArray[np.int32]
    values: NDArray[np.float32]
    positions: NDArray[np.uint16]


def pack_tiles(weight: Tensor, mask: Tensor | None = None) -> Tensor:
    """The bytes of a sparse weight.

    Args:
        weight: float32, out first, two sides or more; the rest are flattened as torch stores them.
        mask: bool, shaped like the weight: its true places are stored, zeros among them too, and
            nothing else is. Without it the nonzeros are stored, NaN among them.

    Returns:
        uint8 on the CPU.

    Raises:
        PatternError: Another dtype or number of sides, or a mask of another shape.
    """
    matrix, kept = _matrix(weight, mask)
    size_of = _native.function("rarefy_pack_size", _SIZE)
    settle_threads()
    pack = _native.function("rarefy_pack", _PACK, _agrees)
    if size_of is None or pack is None:
        count = int((matrix if kept is None else kept).count_nonzero())
        return _pack_reference(matrix, kept, _tile(-(-count // 16), matrix.numel()), count)
    size = size_of(*_given(matrix, kept, 256))
    # A section grows by 96 bytes with every 16 entries, so its size tells their number.
    sixteens = (size - _Layout.of(matrix.shape[0], matrix.shape[1], 256, 0).size) // 96
    return _pack_native(pack, matrix, kept, _tile(sixteens, matrix.numel()), 16 * sixteens)


def _tile(sixteens: int, size: int) -> int:
    """Columns of a tile for this many times 16 entries, the last 16 begun."""
    return 512 if 16 * sixteens < _SPARSE_BELOW * size else 256


def unpack_tiles(section: Tensor) -> Tensor:
    """The dense matrix, rows x columns, float32.

    Raises:
        FileError: The bytes are not those of a sparse weight.
    """
    parts = _parts(section)
    dense = np.zeros((parts.rows, parts.columns), dtype=np.float32)
    tiles = -(-parts.columns // parts.tile)
    for block, (top, bottom) in enumerate(itertools.pairwise(parts.first_row)):
        start = parts.start[block * tiles : (block + 1) * tiles + 1]
        here = slice(start[0], start[-1])
        column = np.repeat(np.arange(tiles) * parts.tile, np.diff(start))
        column += parts.positions[here] >> _ROW_BITS
        row = parts.positions[here] & (2**_ROW_BITS - 1)
        dense[top:bottom][row, column] = parts.values[here]
    return torch.from_numpy(dense)


def tiles_shape(section: Tensor) -> tuple[int, int, int]:
    """Rows, columns and entries of a section, once every index in it is checked.

    Raises:
        FileError: The bytes are not those of a sparse weight.
    """
    parts = _parts(section)
    return parts.rows, parts.columns, len(parts.values)


def _matrix(weight: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    if weight.dtype is not torch.float32 or weight.dim() < 2:
        raise PatternError(
            f"a weight to pack is float32 with two sides or more; found {weight.dtype} of shape "
            f"{tuple(weight.shape)}. Pass weight.float()."
        )
    if mask is not None and (mask.dtype is not torch.bool or mask.shape != weight.shape):
        raise PatternError(
            f"a mask is bool and shaped like its weight, {tuple(weight.shape)}; found {mask.dtype} "
            f"of shape {tuple(mask.shape)}."
        )
    shape = (weight.shape[0], math.prod(weight.shape[1:]))
    dense = weight.detach().cpu().reshape(shape).contiguous()
    return dense, None if mask is None else mask.detach().cpu().reshape(shape).contiguous()


def _pack_reference(matrix: Tensor, kept: Tensor | None, tile: int, nonzero: int) -> Tensor:
    dense = matrix.numpy()
    chosen = dense != 0 if kept is None else kept.numpy()
    rows, columns = dense.shape
    layout = _Layout.of(rows, columns, tile, nonzero)
    # An even share of the rows for every block.
    first_row = np.arange(layout.blocks + 1) * rows // max(layout.blocks, 1)
    out = np.zeros(layout.size, dtype=np.uint8)
    start, values, positions = _views(out, layout, nonzero)
    header = [rows, columns, tile, layout.blocks, layout.tiles, nonzero]
    out[: 8 * _HEADER] = np.array(header, dtype="<i8").view(np.uint8)
    out[layout.first_row : layout.first_row + 4 * len(first_row)] = first_row.astype("<i4").view(
        np.uint8
    )
    edges = np.minimum(np.arange(1, layout.tiles + 1) * tile, columns)
    column = (np.arange(columns) % tile << _ROW_BITS).astype(np.uint16)[:, None]
    at = 0
    for block, (top, bottom) in enumerate(itertools.pairwise(first_row)):
        # Turned, the places of a block stand by column, then row, and so by tile as well.
        places = np.flatnonzero(chosen[top:bottom].T)
        here = slice(at, at + len(places))
        values[here] = dense[top:bottom].T.reshape(-1)[places]
        codes = column + np.arange(bottom - top, dtype=np.uint16)
        positions[here] = codes.reshape(-1)[places]
        piece = 1 + block * layout.tiles
        start[piece : piece + layout.tiles] = at + np.searchsorted(places, edges * (bottom - top))
        at += len(places)
    return torch.from_numpy(out)


def _pack_native(
    pack: Callable[..., int], matrix: Tensor, kept: Tensor | None, tile: int, nonzero: int
) -> Tensor:
    size = max(0, _Layout.of(matrix.shape[0], matrix.shape[1], tile, nonzero).size)
    out = torch.empty(size, dtype=torch.uint8, device="cpu")
    if pack(*_given(matrix, kept, tile), out.data_ptr(), size):
        raise PatternError(
            f"a weight of shape {tuple(matrix.shape)} cannot be packed: the library refused it. "
            "Do not change it while it is packed; RAREFY_KERNELS=reference packs without it."
        )
    return out


def _given(matrix: Tensor, kept: Tensor | None, tile: int) -> tuple[object, ...]:
    """What the library's functions are told of a weight."""
    mask = None if kept is None else kept.data_ptr()
    return matrix.data_ptr(), mask, *matrix.shape, tile, torch.get_num_threads()


def _agrees(pack: Callable[..., int]) -> bool:
    matrix = torch.arange(64 * 300, dtype=torch.float32).remainder_(7).reshape(64, 300)
    matrix[matrix < 4] = 0
    nonzero = int(matrix.count_nonzero())
    ours = _pack_native(pack, matrix, None, 256, nonzero)
    return torch.equal(ours, _pack_reference(matrix, None, 256, nonzero))


def _parts(section: Tensor) -> _Parts:
    data = section.detach().contiguous().numpy()
    rows, columns, tile, blocks, tiles, nonzero = _header(data)
    layout = _Layout.of(rows, columns, tile, nonzero)
    if (layout.blocks, layout.tiles, layout.size) != (blocks, tiles, len(data)):
        raise _damaged("its length is not the one that its sizes give")
    start, values, positions = _views(data, layout, nonzero)
    first_row = data[layout.first_row :][: 4 * (blocks + 1)].view("<i4")
    height = np.diff(first_row)
    if first_row[0] or first_row[-1] != rows or not ((height > 0) & (height <= BLOCK_ROWS)).all():
        raise _damaged("its row blocks do not cover its rows")
    counts = np.diff(start)
    if start[0] or start[-1] != nonzero or (counts < 0).any():
        raise _damaged("its tiles do not cover its entries")
    _check_positions(counts, height, columns, tile, positions)
    return _Parts(rows, columns, tile, start, first_row, values, positions)


def _header(data: NDArray[np.uint8]) -> tuple[int, ...]:
    if len(data) < 8 * _HEADER:
        raise _damaged("it ends before its header does")
    header = tuple(int(number) for number in data[: 8 * _HEADER].view("<i8"))
    rows, columns, tile, _, _, nonzero = header
    # All of it must lie in the section; what passes cannot overflow what is computed next.
    if not (0 <= rows < 2**31 and 0 <= columns < 2**31 and 1 <= tile <= LARGEST_TILE):
        raise _damaged(f"its header tells {rows} rows, {columns} columns, tiles of {tile}")
    if not 0 <= nonzero <= len(data) // 6:
        raise _damaged(f"its header tells {nonzero} entries in {len(data)} bytes")
    return header


def _check_positions(
    counts: NDArray[np.int64],
    height: NDArray[np.int32],
    columns: int,
    tile: int,
    positions: NDArray[np.uint16],
) -> None:
    tiles = len(counts) // max(len(height), 1)
    width = np.minimum(tile, columns - np.arange(tiles) * tile)
    row, column = positions & (2**_ROW_BITS - 1), positions >> _ROW_BITS
    inside = row < np.repeat(height, counts.reshape(len(height), tiles).sum(1))
    inside &= column < np.repeat(np.tile(width, len(height)), counts)
    rises = positions[1:] > positions[:-1]
    borders = np.cumsum(counts)
    rises[borders[(borders > 0) & (borders < len(positions))] - 1] = True
    if not inside.all() or not rises.all():
        raise _damaged("an entry lies outside its tile or out of order")


def _views(
    data: NDArray[np.uint8], layout: _Layout, nonzero: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint16]]:
    pieces = layout.blocks * layout.tiles + 1
    return (
        data[8 * _HEADER :][: 8 * pieces].view("<i8"),
        data[layout.values :][: 4 * nonzero].view("<f4"),
        data[layout.positions :][: 2 * nonzero].view("<u2"),
    )


def _to_64(size: int) -> int:
    return -(-size // 64) * 64


def _damaged(why: str) -> FileError:
    return FileError(f"a packed weight is damaged: {why}. Accelerate the model again.")
