"""Every element on its own."""

from dataclasses import dataclass

from torch import Tensor

from rarefy.patterns._pattern import Pattern


@dataclass(frozen=True, slots=True)
class Unstructured(Pattern):
    """A unit is one element."""

    def unit_scores(self, scores: Tensor) -> Tensor:
        return scores

    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        return units.reshape(shape)

    def __str__(self) -> str:
        return "unstructured"
