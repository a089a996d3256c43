"""What is timed: a network and an example, built from a seed in whichever process runs them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rarefy._topk import keep_largest
from rarefy.metrics import Example

Built = tuple[nn.Module, Example]
"""A network in evaluation mode, and a tensor or a tuple of tensors that it takes."""

_SPREAD = 0.7
"""Deviation of the logarithm of a row's or a column's size, about that of trained networks."""


@dataclass(frozen=True, slots=True)
class Case:
    """One network on one example."""

    name: str
    build: Callable[[], Built]
    """Must be importable where it is unpickled: a function of a module, or a ``partial`` of one."""
    sparsity: float = 0.0
    """For the record."""


@torch.no_grad()
def linear(
    outputs: int,
    inputs: int,
    tokens: int,
    *,
    sparsity: float = 0.0,
    layers: int = 1,
    skewed: bool = False,
    seed: int = 0,
) -> Built:
    """A Linear with a bias, or a chain of square ones with ReLU between them.

    Args:
        outputs: Rows of the weight.
        inputs: Columns of the weight.
        tokens: Rows of the example.
        sparsity: Share of the weights that are zero; the count is exact.
        layers: Length of the chain.
        skewed: Rows and columns of unequal density, as in trained networks. Otherwise all weights
            are kept with equal chance.
        seed: For weights, mask and example.
    """
    random = torch.Generator().manual_seed(seed)
    parts: list[nn.Module] = []
    for _ in range(layers):
        layer = torch.nn.utils.skip_init(nn.Linear, inputs, outputs)
        _fill(layer, sparsity, skewed, random)
        parts += [layer, nn.ReLU()]
    model = nn.Sequential(*parts[:-1]) if layers > 1 else parts[0]
    return model.eval(), torch.randn(tokens, inputs, generator=random)


@torch.no_grad()
def conv(
    outputs: int,
    inputs: int,
    kernel: int,
    side: int,
    batch: int,
    *,
    sparsity: float = 0.0,
    stride: int = 1,
    skewed: bool = False,
    seed: int = 0,
) -> Built:
    """A square convolution with a bias, padded so that stride 1 keeps the picture's size.

    Args:
        outputs: Channels out.
        inputs: Channels in.
        kernel: Side of the kernel.
        side: Side of the picture.
        batch: Pictures of the example.
        sparsity: As in :func:`linear`.
        stride: Of the kernel.
        skewed: As in :func:`linear`.
        seed: As in :func:`linear`.
    """
    random = torch.Generator().manual_seed(seed)
    layer = torch.nn.utils.skip_init(
        nn.Conv2d, inputs, outputs, kernel, stride=stride, padding=kernel // 2
    )
    _fill(layer, sparsity, skewed, random)
    return layer.eval(), torch.randn(batch, inputs, side, side, generator=random)


def _fill(layer: nn.Module, sparsity: float, skewed: bool, random: torch.Generator) -> None:
    """Weights of equal variance out as in, whatever the sparsity; a small bias."""
    weight, bias = layer.weight, layer.bias
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
        return
    size = torch.ones(1)
    if skewed:
        size = _stretched(weight.shape[0], 0, weight, random) * _stretched(
            weight.shape[1], 1, weight, random
        )
    weight.normal_(generator=random)
    score = torch.rand(weight.shape, generator=random)
    count = round((1 - sparsity) * weight.numel())
    # Draws without replacement, each weight's chance in proportion to its row's and column's size:
    # the largest `uniform ** (1 / size)`, in logarithms.
    weight.mul_(keep_largest(score.log() / size, count).view_as(weight))
    weight.mul_(math.sqrt(2 * weight.shape[0] / max(1, count)))
    bias.normal_(std=0.1, generator=random)


def _stretched(number: int, dimension: int, weight: Tensor, random: torch.Generator) -> Tensor:
    sides = [1] * weight.dim()
    sides[dimension] = number
    return (_SPREAD * torch.randn(number, generator=random)).exp().view(sides)
