"""Products with a compressed weight: by the library where it can, else in plain torch."""

import math
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from rarefy.errors import PatternError
from rarefy.kernels._geometry import Geometry
from rarefy.kernels._slots_native import native_products
from rarefy.kernels._slots_plain import PlainProducts
from rarefy.kernels._topology import Topology


class Runner(Protocol):
    """Products of contiguous batches: inputs (tokens, columns) or (N, channels, height, width)."""

    def forward(self, x: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output."""
        ...

    def input_gradient(self, dy: Tensor, values: Tensor, x_shape: torch.Size) -> Tensor:
        """The gradient of an input of this shape."""
        ...

    def weight_gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the values, 0 in padding."""
        ...


class Products:
    """What is derived from one topology (of a convolution: and its geometry), made when needed.

    Inputs are (..., columns), or with a geometry (N, channels, height, width) or one image without
    N; outputs have ``rows`` where inputs have ``columns`` or ``channels``. All tensors of a call
    are of one floating dtype and on one device. float32 on the CPU runs in the library.
    """

    def __init__(self, topology: Topology, geometry: Geometry | None = None) -> None:
        self.topology = topology
        self.geometry = geometry
        self.plain = PlainProducts(topology, geometry)
        self._sides = 2 if geometry is None else 4
        self._channels = topology.columns // math.prod(geometry.kernel if geometry else ())

    @cached_property
    def native(self) -> Runner | None:
        """The same by the library, where it has the kernels."""
        return native_products(self.topology, self.geometry)

    def forward(self, x: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output.

        Args:
            x: The inputs.
            values: (capacity,); padding is not read.
            bias: (rows,), or none.

        Raises:
            PatternError: The tensors do not fit each other or the topology.
        """
        self._check(x, values, bias)
        batch = self.batch(x)
        runner = self._runner(batch, values, bias)
        y = runner.forward(batch, values, bias)
        if x.dim() == self._sides:
            return y
        return y.squeeze(0) if self.geometry else y.view(*x.shape[:-1], self.topology.rows)

    def input_gradient(self, dy: Tensor, values: Tensor, x_shape: torch.Size) -> Tensor:
        """The gradient of an input of this shape, given that of the output."""
        dy = self.batch_of_outputs(dy)
        runner = self._runner(dy, values)
        if len(x_shape) == self._sides:
            return runner.input_gradient(dy, values, x_shape)
        return runner.input_gradient(dy, values, self._batch_shape(x_shape)).view(x_shape)

    def weight_gradient(self, x: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the values, given that of the output: (capacity,), 0 in padding."""
        x, dy = self.batch(x), self.batch_of_outputs(dy)
        return self._runner(x, dy).weight_gradient(x, dy)

    def bias_gradient(self, dy: Tensor) -> Tensor:
        """The gradient of the bias, given that of the output: (rows,)."""
        dy = self.batch_of_outputs(dy)
        return dy.sum(0) if dy.dim() == 2 else dy.sum((0, 2, 3))

    def batch(self, x: Tensor) -> Tensor:
        """The inputs as kernels take them: (tokens, columns) or (N, channels, height, width)."""
        if x.dim() == self._sides:
            return x.contiguous()
        return x.reshape(self._batch_shape(x.shape)).contiguous()

    def batch_of_outputs(self, dy: Tensor) -> Tensor:
        """The same for outputs: (tokens, rows) or (N, rows, height, width)."""
        if dy.dim() == self._sides:
            return dy.contiguous()
        if self.geometry is None:
            return dy.reshape(-1, self.topology.rows).contiguous()
        return dy.unsqueeze(0).contiguous()

    def _batch_shape(self, shape: torch.Size) -> torch.Size:
        if self.geometry is None:
            return torch.Size((shape[:-1].numel(), self.topology.columns))
        return torch.Size((1, *shape))

    def _runner(self, *tensors: Tensor | None) -> Runner:
        for tensor in tensors:
            if tensor is not None and (
                tensor.dtype != torch.float32 or not tensor.is_cpu or not tensor.is_contiguous()
            ):
                return self.plain
            if tensor is not None and not tensor.numel():  # nothing to multiply
                return self.plain
        return self.native or self.plain

    def _check(self, x: Tensor, values: Tensor, bias: Tensor | None) -> None:
        known = self.topology
        if self.geometry is None:
            wanted = f"(..., {known.columns})"
            fits = x.dim() > 0 and x.shape[-1] == known.columns
        else:
            wanted = f"(N, {self._channels}, height, width)"
            fits = x.dim() in (3, 4) and x.shape[-3] == self._channels
        if not fits:
            raise PatternError(
                f"a compressed layer got an input of shape {tuple(x.shape)}, and takes {wanted}."
            )
        if values.shape != (known.capacity,) or (bias is not None and bias.shape != (known.rows,)):
            raise PatternError(
                f"weight_values of shape {tuple(values.shape)}"
                + (f" and a bias of shape {tuple(bias.shape)}" if bias is not None else "")
                + f" do not fit a topology of {known.capacity} slots and {known.rows} rows: "
                "change them only together, with load_state_dict() or adopt()."
            )
        others = [values] if bias is None else [values, bias]
        if not x.is_floating_point() or any(
            other.dtype != x.dtype or other.device != x.device for other in others
        ):
            raise PatternError(
                f"a compressed layer of {values.dtype} on {values.device} got an input of "
                f"{x.dtype} on {x.device}: they must agree. Move one of them with .to(...)."
            )
