"""Whole rows and columns of the matrix view."""

from dataclasses import dataclass

from torch import Tensor

from rarefy.patterns._pattern import Pattern


@dataclass(frozen=True, slots=True)
class Row(Pattern):
    """A unit is all that leads into one output: a neuron's or a filter's weights."""

    def unit_scores(self, scores: Tensor) -> Tensor:
        return _mean(scores, (2, 3))

    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        return units[:, :, None, None].expand(shape).contiguous()

    def __str__(self) -> str:
        return "row"


@dataclass(frozen=True, slots=True)
class Column(Pattern):
    """A unit is all that leads out of one input, at every kernel position."""

    def unit_scores(self, scores: Tensor) -> Tensor:
        return _mean(scores, (1, 3))

    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        return units[:, None, :, None].expand(shape).contiguous()

    def __str__(self) -> str:
        return "column"


def _mean(scores: Tensor, dims: tuple[int, int]) -> Tensor:
    return scores.mean(dim=dims) if scores.is_floating_point() else scores.sum(dim=dims)
