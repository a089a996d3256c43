"""A method is a value of five words and a start; a plan is a method fitted into a run."""

from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Literal

from rarefy._types import Allocation, Score
from rarefy.growth import Growth
from rarefy.patterns import Pattern
from rarefy.schedules import Every, Ramp
from rarefy.selection import wants


@dataclass(frozen=True, kw_only=True)
class Method:
    """What to keep, in which shape, how much per layer, when, and what returns."""

    name: str
    score: Score
    """Ranks the living: low ones go."""
    pattern: Pattern
    allocation: Allocation
    when: str | Every | Ramp
    """``once``, or when masks are chosen anew: words for :func:`rarefy.schedules.parse`."""
    growth: Growth
    start: Literal["dense", "random", "scored"]
    """Mask before the first step: all kept, drawn at random, or chosen by the score."""
    ramp: type[Ramp] | None = None
    """How the sparsity rises, for methods that start dense."""

    @property
    def words(self) -> dict[str, str]:
        """The five words as text."""
        return {
            "score": title(self.score),
            "pattern": str(self.pattern),
            "allocation": title(self.allocation),
            "when": str(self.when),
            "growth": str(self.growth),
        }

    @property
    def moves(self) -> bool:
        """Whether masks change after the start."""
        return self.when != "once"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A method with its numbers: what one Sparsifier follows."""

    method: Method
    sparsity: float | None
    """Share of units removed in the end; None where the pattern fixes it or masks were given."""
    trigger: Every | None = None
    ramp: Ramp | None = None
    minimum: int = 1
    seed: int = 0
    record: int = 100
    """Steps between two records of the history."""

    def due(self, step: int) -> bool:
        """Whether masks are chosen anew after ``step`` steps."""
        if self.trigger is None:
            return False
        # A ramp lands on its end even where the interval does not divide it.
        lands = self.ramp is not None and step == self.ramp.end
        return self.trigger(step) or lands

    @cached_property
    def replaces_step(self) -> bool:
        """Whether an exchange grows by the step's own dense gradient, and so takes its place."""
        return "gradient" in self.method.growth.evidence

    @cached_property
    def needs_gradient(self) -> bool:
        """Whether a change reads the step's own gradient, and so comes before the step."""
        return self.replaces_step or "gradient" in wants(self.method.score)

    @cached_property
    def needs_average(self) -> bool:
        """Whether a running average of dense gradients is kept."""
        return "momentum" in self.method.growth.evidence

    def fingerprint(self) -> dict[str, str]:
        """What must agree before a saved state is taken, as text."""
        return {
            "method": self.method.name,
            **self.method.words,
            "growth": _described(self.method.growth),
            "sparsity": str(self.sparsity),
            "trigger": str(self.trigger),
            "ramp": str(self.ramp),
            "minimum": str(self.minimum),
        }


def _described(growth: Growth) -> str:
    settings = {field.name: title(getattr(growth, field.name)) for field in fields(growth)}
    return f"{growth} {settings}"


def title(part: object) -> str:
    """The name of a function or value as its room lists it; the same in every process."""
    if isinstance(part, partial):
        given = [*map(title, part.args), *(f"{k}={title(v)}" for k, v in part.keywords.items())]
        return f"{title(part.func)}({', '.join(given)})"
    name = getattr(part, "__name__", None)
    if name:
        return str(name).rstrip("_")
    # Without a text of its own a value shows its address, which is another in every process.
    addressed = type(part).__str__ is object.__str__ and type(part).__repr__ is object.__repr__
    return type(part).__qualname__ if addressed else str(part)
