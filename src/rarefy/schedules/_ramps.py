"""Sparsity as a function of the step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from rarefy.errors import BudgetError, ScheduleError


@dataclass(frozen=True, kw_only=True)
class Ramp(ABC):
    """From ``initial`` at step ``start`` to ``final`` at step ``end``, then ``final`` for good."""

    final: float
    start: int = 0
    end: int = 0
    initial: float = 0.0

    def __post_init__(self) -> None:
        for name, sparsity in (("initial", self.initial), ("final", self.final)):
            if not 0 <= sparsity < 1:
                raise BudgetError(f"{name} is a sparsity, in [0, 1); found {sparsity!r}")
        if not 0 <= self.start <= self.end:
            raise ScheduleError(
                f"a ramp needs 0 <= start <= end, in steps; found start={self.start}, "
                f"end={self.end}"
            )

    def __call__(self, step: int) -> float:
        """Sparsity after ``step`` optimizer steps."""
        if step >= self.end:
            return self.final
        if step <= self.start:
            return self.initial
        progress = (step - self.start) / (self.end - self.start)
        return self.initial + (self.final - self.initial) * self.risen(progress)

    @abstractmethod
    def risen(self, progress: float) -> float:
        """Share of the way risen at a share ``progress`` of the time, both in (0, 1)."""


@dataclass(frozen=True, kw_only=True)
class Constant(Ramp):
    """``final`` from the first step on."""

    def risen(self, progress: float) -> float:
        del progress
        return 1.0

    def __call__(self, step: int) -> float:
        del step
        return self.final


@dataclass(frozen=True, kw_only=True)
class Once(Ramp):
    """``initial`` until ``end``, then ``final``: prune at one step."""

    def risen(self, progress: float) -> float:
        del progress
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Linear(Ramp):
    """The same amount each step."""

    def risen(self, progress: float) -> float:
        return progress


@dataclass(frozen=True, kw_only=True)
class Cubic(Ramp):
    """Fast while there is much to remove, slow towards the end.

    Zhu and Gupta, "To prune, or not to prune", 2017, eq. 1.

    >>> [Cubic(final=0.8, end=100)(step) for step in (0, 25, 50, 100)]
    [0.0, 0.4625, 0.7000000000000001, 0.8]
    """

    def risen(self, progress: float) -> float:
        return 1 - (1 - progress) ** 3
