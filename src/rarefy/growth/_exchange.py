"""Drop the worst of the living and grow the best of the dead."""

from collections.abc import Callable

import torch
from torch import Tensor

from rarefy._topk import keep_largest
from rarefy.errors import BudgetError


def exchange(
    kept: Tensor,
    dropped: Tensor,
    arrival_scores: Tensor,
    count: int,
    *,
    choose: Callable[[Tensor, int], Tensor] = keep_largest,
) -> Tensor:
    """Units that live after the exchange: ``count`` of them, the survivors among them.

    A unit dropped in this exchange may return in it, as in RigL's reference.

    Args:
        kept: Bool, the living units before.
        dropped: Bool, those of them that go.
        arrival_scores: One a unit, finite; the highest of those that did not survive return.
        count: Units that live afterwards, at least the survivors.
        choose: The pattern's choice of ``count`` units by score.

    Raises:
        BudgetError: Fewer are to live than survive.

    Evci et al., "Rigging the Lottery", 2020, algorithm 1.

    >>> kept = torch.tensor([True, True, False, False])
    >>> dropped = torch.tensor([False, True, False, False])
    >>> exchange(kept, dropped, torch.tensor([0.0, 9.0, 2.0, 3.0]), 2)
    tensor([ True,  True, False, False])
    """
    survivors = kept & ~dropped
    if count < (staying := int(survivors.sum())):
        raise BudgetError(
            f"{staying} units survive the exchange, so {count} cannot be all of them."
        )
    scores = arrival_scores if arrival_scores.is_floating_point() else arrival_scores.double()
    return choose(scores.masked_fill(survivors, torch.inf), count)
