"""n kept in every m along the inputs: the shape that sparse tensor cores run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy._topk import keep_largest
from rarefy.errors import BudgetError, PatternError
from rarefy.patterns._pattern import Pattern


@dataclass(frozen=True, slots=True)
class NofM(Pattern):
    """Keep ``n`` of every ``m`` consecutive inputs at a fixed kernel position.

    ``NofM(2, 4)`` is 2:4. A unit is one element; the pattern fixes the density at n / m.
    Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021, section 3.
    """

    n: int
    m: int

    def __post_init__(self) -> None:
        if not 0 < self.n < self.m:
            raise PatternError(f"n:m keeps n of every m, so 0 < n < m; got {self.n}:{self.m}")

    @property
    def density(self) -> float:
        return self.n / self.m

    def unit_scores(self, scores: Tensor) -> Tensor:
        if scores.shape[2] % self.m:
            raise PatternError(
                f"{scores.shape[2]} inputs are no multiple of m={self.m}. "
                "Choose another n:m, leave the weight out with skip=, or pad the layer."
            )
        return scores

    def choose(self, unit_scores: Tensor, count: int, *, name: str = "scores") -> Tensor:
        if count * self.m != unit_scores.numel() * self.n:
            raise BudgetError(
                f"{name}: {self.n}:{self.m} keeps {unit_scores.numel() * self.n // self.m} of "
                f"{unit_scores.numel()}, not {count}. Leave the sparsity to the pattern."
            )
        keep_largest(unit_scores, 0, name=name)  # refuses what is not a number, by name
        # outputs x (inputs / m) x m x kernel: one kernel position never mixes with another
        groups = unit_scores.unflatten(2, (-1, self.m))
        winners = groups.argsort(dim=3, descending=True, stable=True)[:, :, :, : self.n]
        kept = torch.zeros_like(groups, dtype=torch.bool).scatter_(3, winners, True)
        return kept.flatten(2, 3)

    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        return units.reshape(shape)

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"
