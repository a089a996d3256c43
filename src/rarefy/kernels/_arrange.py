"""Places in any order to slots, by the compiled library."""

import ctypes

import torch
from torch import Tensor

from rarefy import _native
from rarefy.kernels._topology_checks import twice

_Pointer = ctypes.c_void_p
_ARRANGE = ctypes.CFUNCTYPE(
    ctypes.c_int, _Pointer, ctypes.c_int64, _Pointer, _Pointer, _Pointer, _Pointer
)


def arrange(
    grid: tuple[int, int, int, int], places: Tensor, starts: Tensor, positions: Tensor
) -> Tensor | None:
    """Fill in where cells start and where slots stand; None, and nothing, where there is no kernel.

    Args:
        grid: Rows and columns of the matrix, then of a block.
        places: int64, flat indices into the matrix, in any order.
        starts: int32, one a cell and the end; written.
        positions: int16, one a place; written.

    Returns:
        int64, by slot which of the places stands there.

    Raises:
        PatternError: A place is there twice.
    """
    run = _native.function("rarefy_slots_arrange", _ARRANGE)
    if run is None or not places.is_cpu:
        return None
    places = places.contiguous()
    order = torch.empty_like(places)
    sides = (ctypes.c_int64 * 4)(*grid)
    written = (starts.data_ptr(), positions.data_ptr(), order.data_ptr())
    status = run(places.data_ptr(), places.numel(), sides, *written)
    if status == 1:
        raise twice(grid[0], grid[1])
    if status:
        raise MemoryError(f"there is no memory to arrange {places.numel()} slots")
    return order
