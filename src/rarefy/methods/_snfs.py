"""SNFS: grow by momentum, and move weights to the layers whose momentum is largest."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Growth, Momentum
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Every
from rarefy.training import Method


def snfs(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.uniform,
    when: str | Every = "every until 75%",
    growth: Growth = Momentum(share=0.5, decay="cosine", final=0.005, redistributes=True),
) -> Method:
    """Sparse networks from scratch: needs a running average of dense gradients at every step.

    Dettmers and Zettlemoyer, "Sparse Networks from Scratch: Faster Training without Losing
    Performance", 2019, section 3.
    """
    return Method(
        name="snfs",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="random",
    )
