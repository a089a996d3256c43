"""What a training run is made of, and what comes out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from rarefy._types import Batches
from rarefy.errors import BudgetError, UnknownName
from rarefy.lab.tasks import Task
from rarefy.reports import Training
from rarefy.training import Sparsifier

DENSE = "dense"
"""The method that removes nothing: the control."""
_WORDS = ("allocation", "growth", "minimum", "only", "pattern", "score", "skip", "when")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One run: which network, trained how, made sparse by which method."""

    task: str
    """What the run is about, for the record."""
    build: Callable[[], nn.Module]
    """A fresh network."""
    train: Callable[..., object]
    """``train(model, attach, start=0)``: makes its optimizer, calls ``attach(optimizer, steps=n)``
    before its loop, and trains in place; ``start`` is the step to go on from."""
    evaluate: Callable[[nn.Module], float | Mapping[str, float]] | None = None
    """Model to its score: a number, or numbers by name."""
    method: str = "gmp"
    """A name that ``rarefy.sparsify`` knows, or ``dense``."""
    sparsity: float | str = 0.0
    storage: str = "masked"
    """As for ``rarefy.sparsify``: dense weights with zeros, or what lives alone."""
    words: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of ``rarefy.sparsify``, such as ``growth="momentum"``."""
    data: Callable[[], Batches] | None = None
    """Makes batches for scores that need them."""
    seed: int = 0

    def __post_init__(self) -> None:
        odd = sorted(set(self.words) - set(_WORDS))
        if odd:
            raise UnknownName(f"a run takes no {odd[0]!r}. It takes: {', '.join(_WORDS)}.")
        compressed = self.storage != "masked"
        if self.method == DENSE and (self.sparsity or self.words or compressed):
            raise BudgetError(
                f"the dense control removes nothing; found sparsity={self.sparsity!r}, "
                f"storage={self.storage!r} and {dict(self.words)}. Leave them out, or choose a "
                "method."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished run. Its zeros are held until ``sparsifier.finalize()``."""

    setup: Setup
    model: nn.Module
    sparsifier: Sparsifier
    """Masks, history and words of the run; of the dense control, masks that keep everything."""
    score: dict[str, float]
    """What ``evaluate`` said; empty without it."""
    seconds: float
    """Time that training took in this process."""
    training: Training | None = None
    """Bytes that training held and, where the meter was on, time by part."""


def setup_of(
    task: Task,
    method: str,
    sparsity: float | str = 0.0,
    *,
    seed: int = 0,
    epochs: int | None = None,
    words: Mapping[str, Any] | None = None,
    storage: str = "masked",
) -> Setup:
    """The run of a built-in task.

    Args:
        task: Network, data and loop.
        method: A name that ``rarefy.sparsify`` knows, or ``dense``.
        sparsity: As for ``rarefy.sparsify``; leave it out for ``dense``.
        seed: For the first weights, the order of the data, and all that the method draws.
        epochs: Passes over the data; without it the task's own.
        words: More arguments of ``rarefy.sparsify``.
        storage: ``"masked"``, or ``"compressed"`` to train with what lives alone.
    """
    task.steps(epochs)
    return Setup(
        task=task.name,
        build=partial(task.build, seed=seed),
        train=partial(task.train, epochs=epochs, seed=seed),
        evaluate=task.evaluate,
        method=method,
        sparsity=sparsity,
        storage=storage,
        words=dict(words or {}),
        data=task.batches,
        seed=seed,
    )
