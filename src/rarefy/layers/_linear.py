"""A Linear layer of which only the living weights exist."""

import torch
from torch import Tensor

from rarefy.layers._compressed import Compressed
from rarefy.layers._start import started_topology, started_values


class SparseLinear(Compressed):
    """``y = x W^T + b`` with W compressed: what lives, and nothing of what does not.

    float32 on the CPU runs in the compiled library where it is there, all else in plain torch, a
    few rows of the weight at a time. It can be differentiated once.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        mask: Tensor | None = None,
        sparsity: float | None = None,
        slack: float = 0.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Start with values like the dense layer's, uniform within 1 / sqrt(in_features).

        Args:
            in_features: Size of the inputs' last side.
            out_features: Size of the outputs' last side.
            bias: Whether there is one.
            mask: Bool, (out_features, in_features): where weights live.
            sparsity: Instead of a mask, the share of places without a weight; the others are drawn.
            slack: Slots in reserve, as a share of those that live.
            generator: What places and values are drawn from; torch's global one if not given.
            dtype: Of values and bias; torch's default if not given.

        Raises:
            BudgetError: Neither or both of mask and sparsity are given, or one is impossible.
            PatternError: The mask does not fit.
        """
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        topology = started_topology((out_features, in_features), mask, sparsity, slack, generator)
        self._assemble(topology, *started_values(topology, bias, generator, dtype))

    def weight_shape(self) -> tuple[int, int]:
        """Shape of the dense weight: (out_features, in_features)."""
        return self.out_features, self.in_features

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (..., out_features) of inputs (..., in_features).

        Raises:
            PatternError: The input has another size, dtype or device than the layer.
        """
        return self._product(x)

    def _words(self) -> str:
        has_bias = self.bias is not None
        return f"{self.in_features}, {self.out_features}, bias={has_bias}"
