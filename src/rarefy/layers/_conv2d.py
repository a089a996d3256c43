"""A convolution over images of which only the living weights exist."""

import torch
from torch import Tensor
from torch.nn import functional

from rarefy.errors import PatternError
from rarefy.kernels import Geometry
from rarefy.layers._compressed import Compressed
from rarefy.layers._start import started_topology, started_values

Pair = tuple[int, int]


class SparseConv2d(Compressed):
    """``torch.nn.Conv2d`` of one group with its weight compressed, and all that is kept beside it.

    float32 on the CPU runs in the compiled library where it is there, all else in plain torch, a
    few output channels at a time. It can be differentiated once.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: str | int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        mask: Tensor | None = None,
        sparsity: float | None = None,
        slack: float = 0.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Start with values like the dense layer's, uniform within 1 / sqrt(fan-in).

        Args:
            in_channels: Channels of the inputs.
            out_channels: Channels of the outputs.
            kernel_size: As in ``torch.nn.Conv2d``, like the next five.
            stride: How far the kernel moves.
            padding: "same", "valid", or how much on each side.
            dilation: Distance of the kernel's places.
            bias: Whether there is one.
            padding_mode: "zeros", "reflect", "replicate" or "circular".
            mask: Bool, (out_channels, in_channels, height, width): where weights live.
            sparsity: Instead of a mask, the share of places without a weight; the others are drawn.
            slack: Slots in reserve, as a share of those that live.
            generator: What places and values are drawn from; torch's global one if not given.
            dtype: Of values and bias; torch's default if not given.

        Raises:
            BudgetError: Neither or both of mask and sparsity are given, or one is impossible.
            PatternError: The mask or the padding does not fit.
        """
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding = padding if isinstance(padding, str) else _pair(padding)
        self.dilation, self.padding_mode = _pair(dilation), padding_mode
        topology = started_topology(self.weight_shape(), mask, sparsity, slack, generator)
        self._assemble(topology, *started_values(topology, bias, generator, dtype))

    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the dense weight: (out_channels, in_channels, height, width)."""
        return self.out_channels, self.in_channels, *self.kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, out_channels, height, width) of images (N, in_channels, height, width).

        One image without N works as well.

        Raises:
            PatternError: The input has other channels, dtype or device than the layer, or is
                smaller than the kernel.
        """
        if any(self._pad_first):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            # One image without N is padded as a batch: torch does not wrap it around otherwise.
            batch = x if x.dim() == 4 else x.unsqueeze(0)
            padded = functional.pad(batch, self._pad_first, mode)
            x = padded if x.dim() == 4 else padded.squeeze(0)
        return self._product(x)

    def _geometry(self) -> Geometry:
        """The convolution of what :meth:`forward` has padded, where that is needed."""
        down, across = self._around()
        even = (down[0], across[0])
        if self.padding_mode == "zeros":
            # What "same" needs more on the far side than on the near one.
            self._pad_first = (0, across[1] - across[0], 0, down[1] - down[0])
        else:
            self._pad_first, even = (*across, *down), (0, 0)
        return Geometry(self.kernel_size, self.stride, even, self.dilation)

    def _around(self) -> tuple[Pair, Pair]:
        """How much is padded above and below, and left and right."""
        if not isinstance(self.padding, str):
            return (self.padding[0],) * 2, (self.padding[1],) * 2
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding != "same" or self.stride != (1, 1):
            raise PatternError(
                f"padding={self.padding!r} with stride {self.stride}: give numbers, 'valid', or "
                "'same' with stride 1."
            )
        sums = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        down, across = ((whole // 2, whole - whole // 2) for whole in sums)
        return down, across

    def _words(self) -> str:
        words = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        words += f", stride={self.stride}, padding={self.padding!r}, dilation={self.dilation}"
        mode = "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}"
        return f"{words}, bias={self.bias is not None}{mode}"


def _pair(sides: int | Pair) -> Pair:
    return (sides, sides) if isinstance(sides, int) else sides
