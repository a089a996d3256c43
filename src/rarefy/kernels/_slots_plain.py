"""Products with a compressed weight in plain torch, a few row blocks at a time.

No floating tensor of the weight's own shape, or of that shape turned, is ever made: the rows that
are dense at once are fewer than all, and where there is only one row block it gets a row of zeros.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from rarefy.kernels._geometry import Geometry
from rarefy.kernels._topology import Topology

_ROWS = 240
"""Rows of the weight that are dense at once: enough for a fast product, few beside the slots."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some row blocks and their rows."""

    blocks: tuple[int, int]
    rows: tuple[int, int]
    height: int
    """Rows of the dense chunk; one more than there are where that would be the whole weight."""


class PlainProducts:
    """One topology's products, for any floating dtype and device.

    Inputs ``x`` are (tokens, columns), or (N, channels, height, width) with a geometry; outputs are
    (tokens, rows) or (N, rows, height, width).
    """

    def __init__(self, topology: Topology, geometry: Geometry | None) -> None:
        self._topology = topology
        self._kind: _Kind = _Matrix() if geometry is None else _Image(geometry)

    def forward(self, x: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output."""
        y = x.new_empty(self._kind.outputs(x.shape, self._topology.rows))
        with _exact(x):
            for chunk in self._chunks():
                first, last = chunk.rows
                dense = self._dense(chunk, values)
                y[:, first:last] = self._kind.product(x, dense)[:, : last - first]
        if bias is not None:
            y += bias.view(-1, *[1] * (y.dim() - 2))
        return y

    def input_gradient(self, dy: Tensor, values: Tensor, x_shape: torch.Size) -> Tensor:
        """The gradient of an input of this shape."""
        # Parts of it are added up: in a narrow dtype each addition would round.
        wide = torch.float32 if dy.element_size() < 4 else dy.dtype
        dx = torch.zeros(x_shape, dtype=wide, device=dy.device)
        with _exact(dy):
            for chunk in self._chunks():
                dense = self._dense(chunk, values)
                dx += self._kind.back(_rows(dy, chunk), dense, x_shape)
        return dx.to(dy.dtype)

    def weight_gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the values, 0 in padding."""
        found = x.new_zeros(self._topology.capacity)
        with _exact(x):
            for chunk in self._chunks():
                first, last = self._topology.slots_of(*chunk.blocks)
                rows = self._kind.gradient(x, _rows(dy, chunk))
                found[first:last] = rows.view(-1).index_select(0, self._places(chunk))
        return found

    def gradient_rows(self, x: Tensor, dy: Tensor, first: int, last: int) -> Tensor:
        """Rows ``first`` up to ``last`` of the dense weight's gradient, as a matrix."""
        with _exact(x):
            return self._kind.gradient(x, dy[:, first:last])

    def _chunks(self) -> Iterator[_Chunk]:
        topology = self._topology
        blocks = topology.row_blocks
        step = min(max(1, _ROWS // topology.block_rows), max(1, -(-blocks // 2)))
        starts: list[int] = topology.grid.row_starts.tolist()
        for first in range(0, blocks, step):
            last = min(first + step, blocks)
            height = starts[last] - starts[first]
            height += height == topology.rows
            yield _Chunk((first, last), (starts[first], starts[last]), height)

    def _places(self, chunk: _Chunk) -> Tensor:
        """Flat indices into the dense chunk."""
        return self._topology.places(*chunk.blocks) - chunk.rows[0] * self._topology.columns

    def _dense(self, chunk: _Chunk, values: Tensor) -> Tensor:
        first, last = self._topology.slots_of(*chunk.blocks)
        dense = values.new_zeros(chunk.height * self._topology.columns)
        dense.index_copy_(0, self._places(chunk), values[first:last])
        return dense.view(chunk.height, -1)


def _rows(dy: Tensor, chunk: _Chunk) -> Tensor:
    """What belongs to the chunk's rows, and zeros for the row that it has too many."""
    first, last = chunk.rows
    own = dy[:, first:last]
    missing = chunk.height - (last - first)
    if not missing:
        return own
    return torch.cat([own, own.new_zeros((own.shape[0], missing, *own.shape[2:]))], 1)


def _exact(x: Tensor) -> torch.autocast:
    """Keep the dtypes that are given, also in a backward pass inside a caller's autocast."""
    return torch.autocast(x.device.type, enabled=False)


class _Kind(Protocol):
    """One sort of layer, for a dense matrix of some of its rows."""

    def outputs(self, x_shape: torch.Size, rows: int) -> tuple[int, ...]: ...
    def product(self, x: Tensor, dense: Tensor) -> Tensor: ...
    def back(self, dy: Tensor, dense: Tensor, x_shape: torch.Size) -> Tensor: ...
    def gradient(self, x: Tensor, dy: Tensor) -> Tensor: ...


class _Matrix:
    """Linear."""

    def outputs(self, x_shape: torch.Size, rows: int) -> tuple[int, ...]:
        return x_shape[0], rows

    def product(self, x: Tensor, dense: Tensor) -> Tensor:
        return x @ dense.t()

    def back(self, dy: Tensor, dense: Tensor, x_shape: torch.Size) -> Tensor:
        del x_shape
        return dy @ dense

    def gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        return dy.t() @ x


class _Image:
    """Convolution of one group."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry

    def outputs(self, x_shape: torch.Size, rows: int) -> tuple[int, ...]:
        height, width = self._geometry.image((x_shape[2], x_shape[3]))
        return x_shape[0], rows, height, width

    def product(self, x: Tensor, dense: Tensor) -> Tensor:
        known = self._geometry
        weight = self._weight(dense)
        return functional.conv2d(x, weight, None, known.stride, known.padding, known.dilation)

    def back(self, dy: Tensor, dense: Tensor, x_shape: torch.Size) -> Tensor:
        x = dy.new_empty(1).expand(x_shape)  # only its shape is looked at
        return self._backward(dy, x, self._weight(dense), 0)

    def gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        down, across = self._geometry.kernel
        weight = x.new_empty(1).expand(dy.shape[1], x.shape[1], down, across)
        return self._backward(dy, x, weight, 1).reshape(dy.shape[1], -1)

    def _weight(self, dense: Tensor) -> Tensor:
        return dense.view(dense.shape[0], -1, *self._geometry.kernel)

    def _backward(self, dy: Tensor, x: Tensor, weight: Tensor, wanted: int) -> Tensor:
        known, mask = self._geometry, [wanted == 0, wanted == 1, False]
        found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
            dy,
            x,
            weight,
            None,
            known.stride,
            known.padding,
            known.dilation,
            False,
            [0, 0],
            1,
            mask,
        )
        return found[wanted]
