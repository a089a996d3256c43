"""The words of :func:`prune_file`, as users write them, made into parts."""

import inspect
from collections.abc import Mapping

from rarefy import allocation as allocations
from rarefy import scores
from rarefy._types import Allocation, Score
from rarefy.errors import EvidenceError
from rarefy.selection import named


def score_of(score: str | Score) -> Score:
    """The score, which may need the weight and drawn numbers, and nothing else.

    Raises:
        EvidenceError: It needs more than a file has.
        UnknownName: No such score.
    """
    found: Score = named(scores, score) if isinstance(score, str) else score
    needed = [kind for kind in inspect.signature(found).parameters if kind != "generator"]
    if needed != ["weight"] and needed:
        raise EvidenceError(
            f"the score {found.__name__} needs {', '.join(needed)}, and a file has only weights. "
            "Use magnitude or random, or rarefy.sparsify on the model, with data=."
        )
    return found


def allocation_of(allocation: str | Allocation | Mapping[str, float]) -> Allocation:
    """The allocation by name, from regular expressions, or as it is.

    Raises:
        UnknownName: No such allocation.
    """
    if isinstance(allocation, str):
        found: Allocation = named(allocations, allocation)
        return found
    if isinstance(allocation, Mapping):
        return allocations.ByName(dict(allocation))
    return allocation
