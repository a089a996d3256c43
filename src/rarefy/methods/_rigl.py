"""RigL: drop the smallest weights, grow where the dense gradient is largest."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Gradient, Growth
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Every
from rarefy.training import Method


def rigl(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.erdos_renyi_kernel,
    when: str | Every = "every until 75%",
    growth: Growth = Gradient(share=0.3, decay="cosine", start="zero"),
) -> Method:
    """Sparse from the start; at an exchange no optimizer step is taken, as in the reference.

    Evci et al., "Rigging the Lottery: Making All Tickets Winners", 2020, algorithm 1.
    """
    return Method(
        name="rigl",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="random",
    )
