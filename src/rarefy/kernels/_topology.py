"""Where the slots of a compressed weight stand: a checked view of one integer buffer."""

from functools import cached_property

import torch
from torch import Tensor

from rarefy._places import in_order, where
from rarefy.errors import PatternError
from rarefy.kernels._arrange import arrange
from rarefy.kernels._topology_checks import (
    HEADER,
    SIDE,
    VERSION,
    check_asked,
    check_header,
    check_slots,
    twice,
)

BLOCK = 30
"""Rows and columns of a block where nobody says otherwise; a buffer carries its own."""
_CODES = SIDE * SIDE
"""Positions that a cell could have; slot order is that of cell * _CODES + position."""
_BAND = 1 << 22
"""Codes that are compared at once when a topology changes."""


class Topology:
    """Which entries of a matrix have a slot, and in which order: an immutable view of its buffer.

    The matrix is cut into blocks of ``block_rows`` x ``block_columns``, as even as they can be.
    Slots stand by row block, column block, row and column. Slots from ``count`` up to ``capacity``
    are padding. The buffer holds int32 words: version, rows, columns, block_rows, block_columns,
    capacity, count, 0; where each block's slots start, and where the last one's end; for each slot
    its row in the block * 32 + its column in the block, two in a word, low half first.
    """

    def __init__(self, buffer: Tensor) -> None:
        """View a buffer that was checked before; others go through :meth:`read`."""
        self.buffer = buffer
        head: list[int] = buffer[:HEADER].tolist()
        _, self.rows, self.columns, self.block_rows, self.block_columns, *rest = head
        self.capacity, self.count, _ = rest
        self.row_blocks = -(-self.rows // self.block_rows)
        self.column_blocks = -(-self.columns // self.block_columns)
        cells = self.row_blocks * self.column_blocks
        self.cell_starts = buffer[HEADER : HEADER + cells + 1]
        """Where the slots of each block start, row block by row block, and where the last end."""
        self.positions = buffer[HEADER + cells + 1 :].view(torch.int16)
        """By slot, padding included: row in the block * 32 + column in the block."""

    @staticmethod
    def of_mask(mask: Tensor, capacity: int | None = None) -> "Topology":
        """The topology of the True entries.

        Args:
            mask: Bool, (rows, columns).
            capacity: Slots in all; as many as there are True entries if not given.

        Raises:
            PatternError: The mask is no bool matrix with at least one entry.
            BudgetError: The capacity does not hold them.
        """
        if mask.dtype != torch.bool or mask.dim() != 2 or not mask.numel():
            raise PatternError(
                f"a mask of shape {tuple(mask.shape)} and {mask.dtype} has no topology: give a "
                "bool matrix with at least one entry."
            )
        rows, columns = mask.shape
        return Topology.of_places(rows, columns, where(mask.flatten()), capacity)

    @staticmethod
    def of_places(
        rows: int,
        columns: int,
        places: Tensor,
        capacity: int | None = None,
        blocks: tuple[int, int] = (BLOCK, BLOCK),
    ) -> "Topology":
        """The topology of these entries of a rows x columns matrix.

        Args:
            rows: Rows of the matrix.
            columns: Columns of the matrix.
            places: int64, (count,): row * columns + column of each, in any order, none twice.
            capacity: Slots in all; as many as there are places if not given.
            blocks: Rows and columns of a block, each from 1 to 32.

        Raises:
            PatternError: A place lies outside of the matrix or is there twice.
            BudgetError: The capacity does not hold them, or is more than the matrix has.
        """
        return Topology.arranged(rows, columns, places, capacity, blocks)[0]

    @staticmethod
    def arranged(
        rows: int,
        columns: int,
        places: Tensor,
        capacity: int | None = None,
        blocks: tuple[int, int] = (BLOCK, BLOCK),
    ) -> "tuple[Topology, Tensor]":
        """As :meth:`of_places`, and by slot which of the places given stands there; int64."""
        count = places.numel()
        capacity = count if capacity is None else capacity
        check_asked(rows, columns, places, capacity, blocks)
        grid = _Grid(rows, columns, *blocks)
        words = HEADER + grid.cells + 1
        buffer = torch.zeros(words + -(-capacity // 2), dtype=torch.int32, device=places.device)
        head = [VERSION, rows, columns, *blocks, capacity, count, 0]
        buffer[:HEADER] = torch.tensor(head, dtype=torch.int32)
        starts, positions = buffer[HEADER:words], buffer[words:].view(torch.int16)[:count]
        order = arrange((rows, columns, *blocks), places, starts, positions)
        if order is None:
            codes, order = in_order(grid.codes(places))
            if bool((codes[1:] == codes[:-1]).any()):
                raise twice(rows, columns)
            edges = torch.arange(grid.cells + 1, device=codes.device) * _CODES
            starts.copy_(torch.searchsorted(codes, edges))
            positions.copy_(codes.bitwise_and_(_CODES - 1))
        return Topology(buffer), order

    @staticmethod
    def read(buffer: Tensor) -> "Topology":
        """The topology that lies in a buffer of unknown origin, every number of it checked.

        Raises:
            StateError: The buffer is damaged.
        """
        check_header(buffer)
        topology = Topology(buffer)
        check_slots(topology)
        return topology

    @cached_property
    def grid(self) -> "_Grid":
        """The blocks of the matrix."""
        return _Grid(
            self.rows, self.columns, self.block_rows, self.block_columns, self.buffer.device
        )

    def slots_of(self, first: int, last: int) -> tuple[int, int]:
        """The first slot of row block ``first``, and the first of ``last``: those between."""
        return self._block_starts[first], self._block_starts[last]

    @cached_property
    def _block_starts(self) -> list[int]:
        found: list[int] = self.cell_starts[:: self.column_blocks].tolist()
        return found

    def codes(self, first: int = 0, last: int | None = None) -> Tensor:
        """int64, cell * 1024 + position of each slot of these row blocks: ascends."""
        positions, cells = self._slots(first, last)
        return cells.mul_(_CODES).add_(positions)

    def places(self, first: int = 0, last: int | None = None) -> Tensor:
        """Where the slots of row blocks ``first`` up to ``last`` stand, in slot order.

        Returns:
            int64, one a slot without padding: row * columns + column.
        """
        positions, cells = self._slots(first, last)
        corners = self.grid.corners.index_select(0, cells)
        return corners.add_(self.grid.offsets.index_select(0, positions.int()))

    def _slots(self, first: int, last: int | None) -> tuple[Tensor, Tensor]:
        """Position and cell of each slot of these row blocks."""
        last = self.row_blocks if last is None else last
        cells = torch.arange(
            first * self.column_blocks, last * self.column_blocks, device=self.buffer.device
        )
        begin, end = self.slots_of(first, last)
        counts = self.cell_starts[first * self.column_blocks :][: cells.numel() + 1].diff()
        return (
            self.positions[begin:end],
            torch.repeat_interleave(cells, counts, output_size=end - begin),
        )

    def mask(self) -> Tensor:
        """Bool, (rows, columns): True where there is a slot."""
        mask = torch.zeros(self.rows * self.columns, dtype=torch.bool, device=self.buffer.device)
        return mask.index_fill_(0, self.places(), True).view(self.rows, self.columns)

    def gather(self, dense: Tensor) -> Tensor:
        """What a dense tensor holds at each slot: (rows, columns) to (capacity,), 0 in padding."""
        values = dense.new_zeros(self.capacity)
        values[: self.count] = dense.reshape(-1).index_select(0, self.places().to(dense.device))
        return values

    def scatter(self, values: Tensor) -> Tensor:
        """The dense matrix of these values: (capacity,) to (rows, columns), 0 without a slot."""
        dense = values.new_zeros(self.rows * self.columns)
        dense[self.places().to(values.device)] = values[: self.count]
        return dense.view(self.rows, self.columns)

    def source(self, old: "Topology") -> Tensor:
        """Where each slot was in another topology of the same matrix and blocks.

        Returns:
            int64, (capacity,): its slot there, or -1 where it had none and in padding.
        """
        source = torch.full((self.capacity,), -1, device=self.buffer.device)
        before, after = old.codes(), self.codes()
        edges = torch.arange(0, self.grid.cells * _CODES + _BAND, _BAND, device=after.device)
        cuts = torch.searchsorted(before, edges).tolist(), torch.searchsorted(after, edges).tolist()
        for number, edge in enumerate(edges.tolist()[:-1]):
            first, last = cuts[0][number : number + 2]
            was = before[first:last] - edge
            here = slice(*cuts[1][number : number + 2])
            now = after[here] - edge
            # Both ascend, so survivors stand in the same order before and after.
            survivors = where(_members(was, now)).add_(first)
            source[here][_members(now, was)] = survivors
        return source


class _Grid:
    """The blocks of a matrix: rows and columns cut as evenly as can be."""

    def __init__(
        self,
        rows: int,
        columns: int,
        block_rows: int,
        block_columns: int,
        device: torch.device | None = None,
    ) -> None:
        self.columns = columns
        self.row_starts = _starts(rows, block_rows).to(device)
        self.column_starts = _starts(columns, block_columns).to(device)
        self.column_blocks = self.column_starts.numel() - 1
        self.cells = (self.row_starts.numel() - 1) * self.column_blocks

    @cached_property
    def corners(self) -> Tensor:
        """By cell, the flat index of its first entry."""
        corners = self.row_starts[:-1, None] * self.columns + self.column_starts[:-1]
        return corners.flatten()

    @cached_property
    def offsets(self) -> Tensor:
        """By position, what it adds to its cell's corner."""
        side = torch.arange(SIDE, device=self.row_starts.device)
        return (side[:, None] * self.columns + side).flatten()

    def codes(self, places: Tensor) -> Tensor:
        """The cell * 1024 + position of each flat index."""
        rows = torch.div(places, self.columns, rounding_mode="trunc")
        down = _within(self.row_starts, self.column_blocks * _CODES, SIDE).to(places.device)
        across = _within(self.column_starts, _CODES, 1).to(places.device)
        codes = down.index_select(0, rows)
        return codes.add_(across.index_select(0, places - rows.mul_(self.columns)))


def _starts(size: int, block: int) -> Tensor:
    """Where each block of ``size`` rows starts, and where the last one ends."""
    blocks = -(-size // block)
    return torch.arange(blocks + 1) * size // blocks


def _within(starts: Tensor, step: int, stride: int) -> Tensor:
    """By row: its block times ``step``, and its place in the block times ``stride``."""
    sizes = starts.diff()
    block = torch.repeat_interleave(torch.arange(sizes.numel(), device=starts.device), sizes)
    row = torch.arange(block.numel(), device=starts.device)
    return block * step + (row - starts[block]) * stride


def _members(codes: Tensor, among: Tensor) -> Tensor:
    """Bool, which codes, from 0 to the size of a band, are among the others."""
    known = torch.zeros(_BAND, dtype=torch.bool, device=codes.device)
    return known.index_fill_(0, among, True).index_select(0, codes)
