"""What every pattern can do."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rarefy._apportion import count_of
from rarefy._topk import keep_largest
from rarefy.errors import BudgetError, PatternError


class Pattern(ABC):
    """What lives or dies as one unit.

    A pattern sees the matrix view of a weight: groups x outputs x inputs x kernel, as made by
    ``targets``. Its units have a shape of their own, and one score each.
    """

    @property
    def density(self) -> float | None:
        """Share of units kept where the pattern itself fixes it (n:m), else None."""
        return None

    @abstractmethod
    def unit_scores(self, scores: Tensor) -> Tensor:
        """One score a unit: the mean over its elements.

        Args:
            scores: Groups x outputs x inputs x kernel.

        Raises:
            PatternError: The units do not divide the matrix.
        """

    def choose(self, unit_scores: Tensor, count: int, *, name: str = "scores") -> Tensor:
        """Bool, shaped like ``unit_scores``: the ``count`` units that are kept.

        Args:
            unit_scores: As made by :meth:`unit_scores`.
            count: Units to keep.
            name: The weight's name, for errors.
        """
        return keep_largest(unit_scores, count, name=name)

    @abstractmethod
    def expand(self, units: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Elements of a matrix view of ``shape`` from the units that hold them."""

    def size(self, shape: tuple[int, ...]) -> int:
        """Units in a matrix view of ``shape``.

        Raises:
            PatternError: The units do not divide the matrix.
        """
        return self.unit_scores(torch.empty(shape, device="meta")).numel()

    def of(self, scores: Tensor, sparsity: float | None = None) -> Tensor:
        """Bool mask for one weight's scores, without a model.

        Args:
            scores: Outputs x inputs, or outputs x inputs x kernel sides; higher is kept.
            sparsity: Share of units removed; left out where the pattern fixes it.

        Raises:
            PatternError: The units do not divide the matrix, or there is none.
            BudgetError: No sparsity, one too many, or none that can be met.

        >>> from rarefy.patterns import NofM
        >>> NofM(2, 4).of(torch.tensor([[4.0, 1.0, 3.0, 2.0]]))
        tensor([[ True, False,  True, False]])
        """
        if scores.dim() < 2:
            raise PatternError(
                f"a pattern sees outputs x inputs; found scores of shape {tuple(scores.shape)}."
            )
        matrix = scores.reshape(1, scores.shape[0], scores.shape[1], -1)
        units = self.unit_scores(matrix)
        kept = self.choose(units, self._count(units.numel(), sparsity))
        return self.expand(kept, tuple(matrix.shape)).reshape(scores.shape)

    def _count(self, size: int, sparsity: float | None) -> int:
        if (sparsity is None) == (self.density is None):
            raise BudgetError(
                f"{self} "
                + ("needs a sparsity." if sparsity is None else "fixes the sparsity: give none.")
            )
        return round((self.density or 0) * size) if sparsity is None else count_of(sparsity, size)
