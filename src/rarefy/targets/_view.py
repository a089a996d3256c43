"""The matrix view: every weight as groups x outputs x inputs x kernel."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Target:
    """One weight that is sparsified: its names and its matrix view.

    Linear and recurrent weights stand as they lie; ``in_proj_weight`` and the gates of an LSTM or
    GRU are stacked blocks, one group each; a convolution is outputs x inputs x kernel; transposed
    convolutions, embeddings and GPT-2's Conv1D are turned.
    """

    name: str
    """Parameter name in the plain model, such as ``encoder.0.weight``."""
    aliases: tuple[str, ...]
    """Every name of the weight, the first of them ``name``; more than one where it is tied."""
    module: str
    """Name of the module that holds it."""
    shape: tuple[int, ...]
    """Shape of the weight."""
    groups: int = 1
    """Blocks stacked along the first side."""
    turned: bool = False
    """Whether inputs come before outputs in the weight."""

    def matrix(self, tensor: Tensor) -> Tensor:
        """``tensor``, shaped like the weight, as groups x outputs x inputs x kernel; a view."""
        first = self.shape[0] // self.groups
        blocks = tensor.reshape(self.groups, first, self.shape[1], math.prod(self.shape[2:]))
        return blocks.transpose(1, 2) if self.turned else blocks

    def restore(self, matrix: Tensor) -> Tensor:
        """A matrix view back in the shape of the weight, contiguous."""
        blocks = matrix.transpose(1, 2) if self.turned else matrix
        return blocks.reshape(self.shape).contiguous()

    @property
    def matrix_shape(self) -> tuple[int, int, int, int]:
        """Groups, outputs, inputs, kernel."""
        first, second = self.shape[0] // self.groups, self.shape[1]
        outputs, inputs = (second, first) if self.turned else (first, second)
        return self.groups, outputs, inputs, math.prod(self.shape[2:])

    @property
    def sides(self) -> tuple[int, ...]:
        """Outputs, inputs and kernel sides, with the groups counted among the outputs."""
        groups, outputs, inputs, _ = self.matrix_shape
        return (groups * outputs, inputs, *self.shape[2:])
