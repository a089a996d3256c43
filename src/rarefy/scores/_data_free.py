"""Scores that need the weight alone."""

import torch
from torch import Generator, Tensor


def magnitude(weight: Tensor) -> Tensor:
    """``|w|``.

    Janowsky, "Pruning versus clipping in neural networks", 1989; Han et al., 2015, section 3.
    """
    return weight.abs()


def random(weight: Tensor, generator: Generator) -> Tensor:
    """Uniform in [0, 1), whatever the weight: the control that every other score must beat.

    Args:
        weight: Gives shape and device.
        generator: On the CPU, so that every device and every rank draws the same numbers.
    """
    return torch.rand(weight.shape, generator=generator).to(weight.device)
