"""A random mask, fixed for good: the rival that every sparse training must beat."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Growth, None_
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Every
from rarefy.training import Method


def static(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.erdos_renyi_kernel,
    when: str | Every = "once",
    growth: Growth = None_(),
) -> Method:
    """Draw the mask at the start, by Erdős-Rényi density, and train what it keeps.

    Evci et al., "Rigging the Lottery", 2020, section 4 ("Static").
    """
    return Method(
        name="static",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="random",
    )
