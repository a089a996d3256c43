"""Names for the types that cross rooms."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

NamedTensors = Mapping[str, Tensor]
"""Parameter name, such as ``encoder.0.weight``, to tensor."""

Score = Callable[..., Tensor]
"""Evidence by keyword to a tensor shaped like the weight; higher is kept."""

Batch = Any
"""A tensor, a tuple whose last entry is the target, or a mapping passed as keywords."""

Batches = Iterable[Batch]
"""Batches that can be read more than once: a list, a DataLoader."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""Model and batch to the scalar mean over the batch."""


@dataclass(frozen=True, slots=True)
class Units:
    """What an allocation sees of one weight: its units, and their scores made on demand."""

    size: int
    """Units in the weight."""
    capacity: int
    """Units that may be kept; below ``size`` where removed units must stay removed."""
    shape: tuple[int, ...]
    """Outputs, inputs and kernel sides of the weight."""
    scores: Callable[[], Tensor]
    """Makes the unit scores. Called as often as needed, so that they need not be kept."""


Allocation = Callable[..., dict[str, int]]
"""``allocation(units, count, minimum=1)``: from the units kept in all to those kept by name."""
