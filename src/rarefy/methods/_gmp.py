"""Gradual magnitude pruning: dense at first, ever sparser along a cubic ramp."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Growth, None_
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Cubic, Every, Ramp
from rarefy.training import Method


def gmp(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.uniform,
    when: str | Every | Ramp = "every from 25% until 75%",
    growth: Growth = None_(),
) -> Method:
    """Remove the smallest weights a few at a time, between a quarter and three quarters of the run.

    Zhu and Gupta, "To prune, or not to prune", 2017, section 3: cubic ramp, the same sparsity in
    every layer. The paper leaves begin and end to the user.
    """
    return Method(
        name="gmp",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="dense",
        ramp=Cubic,
    )
