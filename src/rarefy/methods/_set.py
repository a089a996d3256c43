"""SET: drop what is closest to zero, regrow at random."""

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.growth import Growth, Random, smallest_of_each_sign
from rarefy.patterns import Pattern, Unstructured
from rarefy.schedules import Every
from rarefy.training import Method


def set_(
    *,
    score: Score = scores.magnitude,
    pattern: Pattern = Unstructured(),
    allocation: Allocation = allocations.erdos_renyi,
    when: str | Every = "every until 75%",
    growth: Growth = Random(
        share=0.3, decay="constant", start="normal", drop=smallest_of_each_sign
    ),
) -> Method:
    """Sparse evolutionary training: a fixed share of each sign goes, as many return anywhere.

    Newcomers are drawn with the deviation that the weight had before it was made sparse: the
    authors' code draws them as it draws its initial weights. RigL's reference starts SET's at zero.

    Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse
    connectivity inspired by network science", 2018, algorithm 1.
    """
    return Method(
        name="set",
        score=score,
        pattern=pattern,
        allocation=allocation,
        when=when,
        growth=growth,
        start="random",
    )
