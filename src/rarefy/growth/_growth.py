"""The growth rules, each a value: what ranks the dead, how many return, and as what."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from rarefy.errors import BudgetError
from rarefy.growth._drop import Drop, smallest


def _by_gradient(gradient: Tensor) -> Tensor:
    return gradient.abs()


def _by_momentum(momentum: Tensor) -> Tensor:
    return momentum.abs()


def _by_chance(weight: Tensor, generator: Generator) -> Tensor:
    return torch.rand(weight.shape, generator=generator).to(weight.device)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Exchange ``share`` of the living units for the dead ones that ``arrivals`` ranks highest.

    ``arrivals`` is a pure function of evidence by name (and of a ``generator`` where it draws), in
    the matrix view, as a score is. The share falls along half a cosine to ``final`` where
    ``decay`` says so. Newcomers start at zero, or from a normal distribution of mean 0 and
    deviation ``spread``, or that of the weight before it was made sparse where it is None; their
    optimizer state is always zero.
    """

    arrivals: Callable[..., Tensor] | None
    share: float = 0.3
    decay: Literal["cosine", "constant"] = "cosine"
    final: float = 0.0
    start: Literal["zero", "normal"] = "zero"
    spread: float | None = None
    drop: Drop = smallest
    redistributes: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.final <= self.share < 1:
            raise BudgetError(
                "growth exchanges a share of the living units: 0 <= final <= share < 1; "
                f"found share={self.share}, final={self.final}"
            )
        if self.decay not in ("cosine", "constant") or self.start not in ("zero", "normal"):
            raise BudgetError(
                "growth takes decay='cosine' or 'constant' and start='zero' or 'normal'; "
                f"found decay={self.decay!r}, start={self.start!r}"
            )

    @property
    def evidence(self) -> tuple[str, ...]:
        """Names of what ``arrivals`` needs, without the generator and what has a default."""
        if self.arrivals is None:
            return ()
        parameters = inspect.signature(self.arrivals).parameters.values()
        return tuple(
            each.name
            for each in parameters
            if each.name != "generator" and each.default is inspect.Parameter.empty
        )

    def refuse(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise where this rule cannot grow in a weight; most can in all.

        Args:
            name: The weight's.
            shape: Groups, outputs, inputs, kernel.
        """

    def __str__(self) -> str:
        return type(self).__name__.lower().rstrip("_")


@dataclass(frozen=True, kw_only=True)
class None_(Growth):  # noqa: N801 - the name "none" is looked up as None_
    """Nothing returns."""

    arrivals: Callable[..., Tensor] | None = None
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Random(Growth):
    """Every dead unit is as likely as every other. Mocanu et al., 2018 (SET)."""

    arrivals: Callable[..., Tensor] | None = _by_chance


@dataclass(frozen=True, kw_only=True)
class Gradient(Growth):
    """Where the loss moves fastest: ``|dL/dw|`` of the step's own batch; Evci et al., 2020."""

    arrivals: Callable[..., Tensor] | None = _by_gradient


@dataclass(frozen=True, kw_only=True)
class Momentum(Growth):
    """Where the gradient has long pointed the same way: the size of its running average.

    Dettmers and Zettlemoyer, "Sparse Networks from Scratch", 2019 (SNFS).
    """

    arrivals: Callable[..., Tensor] | None = _by_momentum
    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < 1:
            raise BudgetError(f"beta is the share of the old average, in [0, 1); found {self.beta}")
