"""How the kept values of a weight are spread."""

from dataclasses import dataclass

import torch
from torch import Tensor

_BINS = 60


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in bins of equal width."""

    low: float
    """Lower edge of the first bin."""
    high: float
    """Upper edge of the last bin."""
    counts: tuple[int, ...]
    """Values in each bin; the last one includes its upper edge."""
    not_finite: int
    """Values that are infinite or not a number, and in no bin."""


def histogram(weight: Tensor, mask: Tensor, bins: int = _BINS) -> Histogram:
    """The kept values of ``weight``, from the smallest to the largest.

    Args:
        weight: Values.
        mask: Bool of the same shape; what is False is left out.
        bins: Number of bins.
    """
    values = weight.detach()[mask.to(weight.device)].float().cpu()
    finite = values[values.isfinite()]
    if not finite.numel():
        return Histogram(0.0, 0.0, (), values.numel())
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Histogram(low, high, (finite.numel(),), values.numel() - finite.numel())
    counted = torch.histc(finite, bins, low, high).long().tolist()
    return Histogram(low, high, tuple(counted), values.numel() - finite.numel())
