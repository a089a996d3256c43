"""What a compressed layer is made of: where its slots are, and what they hold at first."""

import math

import torch
from torch import Tensor, nn

from rarefy._topk import keep_largest
from rarefy.errors import BudgetError, PatternError
from rarefy.kernels import Topology
from rarefy.selection import count_of


def started_topology(
    shape: tuple[int, ...],
    mask: Tensor | None,
    sparsity: float | None,
    slack: float,
    generator: torch.Generator | None,
) -> Topology:
    """The topology of a mask, or of as many places drawn at random as the sparsity leaves.

    Raises:
        BudgetError: Neither or both are given, or the sparsity or the slack is none.
        PatternError: The mask does not fit the weight.
    """
    if sparsity is not None and mask is None:
        size = math.prod(shape)
        count = count_of(sparsity, size)
        drawn = torch.rand(size, generator=generator, dtype=torch.float64)
        mask = keep_largest(drawn, count).view(shape)
    elif sparsity is not None or mask is None:
        raise BudgetError(
            "a compressed layer is made of a mask= or of a sparsity=, and "
            f"{'neither' if mask is None else 'both'} was given."
        )
    return masked_topology(shape, mask, slack)


def masked_topology(shape: tuple[int, ...], mask: Tensor, slack: float) -> Topology:
    """The topology of a mask, with slots in reserve.

    Args:
        shape: Shape of the dense weight.
        mask: Bool, of this shape.
        slack: Slots in reserve, as a share of those that live: rounded up, and at most as many as
            the weight has room for.

    Raises:
        BudgetError: The slack is negative or no number.
        PatternError: The mask does not fit the weight.
    """
    if mask.dtype != torch.bool or mask.shape != shape:
        raise PatternError(
            f"a mask of shape {tuple(mask.shape)} and {mask.dtype} does not fit a weight of shape "
            f"{tuple(shape)}: give bool of the weight's shape, True where it lives."
        )
    if not 0 <= slack < math.inf:
        raise BudgetError(f"slack={slack}: give the share of slots in reserve, 0 or more.")
    count = int(mask.sum())
    capacity = min(mask.numel(), count + math.ceil(count * slack))
    return Topology.of_mask(mask.detach().reshape(shape[0], -1), capacity)


def started_values(
    topology: Topology,
    bias: bool,
    generator: torch.Generator | None,
    dtype: torch.dtype | None,
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Values and bias as the dense layer starts: uniform within 1 / sqrt(columns).

    That is torch's Kaiming uniform with a = sqrt(5), at the fan-in of the dense layer: what lives
    starts as large as it would there.
    """
    bound = 1 / math.sqrt(topology.columns)

    def drawn(size: int, living: int) -> nn.Parameter:
        values = torch.zeros(size, dtype=dtype)
        values[:living].uniform_(-bound, bound, generator=generator)
        return nn.Parameter(values)

    values = drawn(topology.capacity, topology.count)
    return values, drawn(topology.rows, topology.rows) if bias else None
