"""Whether a topology's buffer, or what one is asked to be made of, can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rarefy.errors import BudgetError, PatternError, StateError

if TYPE_CHECKING:
    from rarefy.kernels._topology import Topology

VERSION = 1
HEADER = 8
"""int32 words before the cell starts."""
SIDE = 32
"""A position counts the rows of its block in steps of so many: no block is larger."""
_MOST = 2**31 - 1


def check_asked(
    rows: int, columns: int, places: Tensor, capacity: int, blocks: tuple[int, int]
) -> None:
    """Raise where no topology can be made of this.

    Raises:
        PatternError: A side, a block or a place is impossible.
        BudgetError: The capacity does not hold the places, or is more than the matrix has.
    """
    if not (0 < rows <= _MOST and 0 < columns <= _MOST):
        raise PatternError(f"a {rows} x {columns} matrix has no topology: both sides must be >= 1.")
    if not all(1 <= side <= SIDE for side in blocks):
        raise PatternError(f"blocks of {blocks[0]} x {blocks[1]}: each side must be 1 to {SIDE}.")
    if places.dtype != torch.int64 or places.dim() != 1:
        raise PatternError(
            f"places of shape {tuple(places.shape)} and {places.dtype}: give flat indices, int64."
        )
    if places.numel():
        least, most = (int(end) for end in places.aminmax())
        if least < 0 or most >= rows * columns:
            raise PatternError(
                f"place {least if least < 0 else most} lies outside of the {rows} x {columns} "
                f"matrix, whose places are 0 to {rows * columns - 1}."
            )
    if places.numel() > capacity:
        raise BudgetError(
            f"{places.numel()} places do not fit into {capacity} slots: keep fewer, or make the "
            "layer with more slack."
        )
    if capacity > min(rows * columns, _MOST):
        raise BudgetError(
            f"{capacity} slots are more than the {rows} x {columns} matrix can use "
            f"({min(rows * columns, _MOST)}): ask for less slack."
        )


def twice(rows: int, columns: int) -> PatternError:
    """What is said where a place is given twice."""
    return PatternError(
        f"a place of the {rows} x {columns} matrix is given twice: give each place once."
    )


def check_header(buffer: Tensor) -> None:
    """Raise where the first words contradict themselves or the buffer's length.

    Raises:
        StateError: They do.
    """
    if buffer.dtype != torch.int32 or buffer.dim() != 1 or not buffer.is_contiguous():
        raise _damaged(f"it is {buffer.dtype} of shape {tuple(buffer.shape)}", "int32 in one row")
    if buffer.numel() < HEADER:
        raise _damaged(f"it has {buffer.numel()} words", f"a header of {HEADER} first")
    version, *head, last = buffer[:HEADER].tolist()
    if version != VERSION:
        raise _damaged(
            f"its version is {version}", f"{VERSION}: a newer rarefy may have written it"
        )
    if last != 0:
        raise _damaged(f"the header ends with {last}", "0")
    _check_numbers(buffer.numel(), *head)


def _check_numbers(
    words: int, rows: int, columns: int, down: int, across: int, capacity: int, count: int
) -> None:
    if rows < 1 or columns < 1:
        raise _damaged(f"the matrix is {rows} x {columns}", "both sides >= 1")
    if not (1 <= down <= SIDE and 1 <= across <= SIDE):
        raise _damaged(f"blocks are {down} x {across}", f"sides of 1 to {SIDE}")
    if not 0 <= count <= capacity <= rows * columns:
        raise _damaged(
            f"{count} of {capacity} slots are used", f"0 <= used <= slots <= {rows * columns}"
        )
    wanted = HEADER + -(-rows // down) * -(-columns // across) + 1 + -(-capacity // 2)
    if words != wanted:
        raise _damaged(f"it has {words} words", str(wanted))


def check_slots(topology: Topology) -> None:
    """Raise where a slot lies outside of its block, out of order, or twice at one place.

    Raises:
        StateError: One does.
    """
    starts, positions, count = topology.cell_starts, topology.positions, topology.count
    if int(starts[0]) != 0 or int(starts[-1]) != count or bool((starts[1:] < starts[:-1]).any()):
        raise _damaged("the starts of its blocks are no ascending numbers", f"from 0 to {count}")
    used, unused = positions[:count], positions[count:]
    if bool(unused.any()):
        raise _damaged("an unused slot has a position", "0")
    if count == 0:
        return
    if int(used.min()) < 0 or int(used.max()) >= SIDE * SIDE:
        raise _damaged("a position is out of range", f"0 to {SIDE * SIDE - 1}")
    codes = topology.codes()
    if bool((codes[1:] <= codes[:-1]).any()):
        raise _damaged("the slots of a block are out of order, or two are one place", "ascending")
    grid = topology.grid
    cells = codes.div_(SIDE * SIDE, rounding_mode="trunc")
    down = grid.row_starts.diff().repeat_interleave(topology.column_blocks)
    across = grid.column_starts.diff().repeat(topology.row_blocks)
    limits = (down.index_select(0, cells), across.index_select(0, cells))
    if bool((used >> 5 >= limits[0]).any()) or bool((used & SIDE - 1 >= limits[1]).any()):
        raise _damaged("a position lies outside of its block", "rows and columns that it has")


def _damaged(found: str, wanted: str) -> StateError:
    return StateError(
        f"weight_topology is damaged: {found}; wanted: {wanted}. Load it again from an undamaged "
        "file, written for a layer of this shape."
    )
