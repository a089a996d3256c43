"""One shot: score once, prune once."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Growth, None_
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Every
from rarefy.training import Method


def one_shot(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.global_,
    when: str | Every = "once",
    growth: Growth = None_(),
) -> Method:
    """Prune now, by one ranking over the whole model; the method of every score's name.

    Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015.
    """
    return Method(
        name="one_shot",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="scored",
    )
