"""Which of the living go at an exchange."""

from typing import Protocol

import torch
from torch import Tensor

from rarefy._topk import keep_largest


class Drop(Protocol):
    """A rule that names the units to drop."""

    def __call__(self, scores: Tensor, sign: Tensor, kept: Tensor, count: int) -> Tensor:
        """Bool, shaped like ``kept``: the units that go.

        Args:
            scores: One a unit; low ones go.
            sign: The sign of each unit's weight, -1, 0 or 1.
            kept: The living units.
            count: How many are to go.
        """
        ...


def smallest(scores: Tensor, sign: Tensor, kept: Tensor, count: int) -> Tensor:
    """The ``count`` lowest scores among the living.

    >>> kept = torch.tensor([True, True, True, False])
    >>> smallest(torch.tensor([3.0, 1.0, 2.0, 0.0]), torch.ones(4), kept, 1)
    tensor([False,  True, False, False])
    """
    del sign
    return kept & ~_survivors(scores, kept, int(kept.sum()) - count)


def smallest_of_each_sign(scores: Tensor, sign: Tensor, kept: Tensor, count: int) -> Tensor:
    """The same share of the positive and of the negative weights: those closest to zero.

    Zeros count as positive. What rounding leaves over is taken from the larger side, so ``count``
    units go in all. Mocanu et al., 2018, algorithm 1.

    >>> kept = torch.ones(4, dtype=torch.bool)
    >>> weight = torch.tensor([0.1, 0.2, -3.0, -2.0])
    >>> smallest_of_each_sign(weight.abs(), weight.sign(), kept, 2)
    tensor([ True, False, False,  True])
    """
    negative = kept & (sign < 0)
    positive = kept & ~negative
    sizes = {"positive": int(positive.sum()), "negative": int(negative.sum())}
    whole = sum(sizes.values())
    fewer = min(sizes, key=lambda side: sizes[side])
    of_fewer = count * sizes[fewer] // whole if whole else 0
    counts = {side: of_fewer if side == fewer else count - of_fewer for side in sizes}
    return (positive & ~_survivors(scores, positive, sizes["positive"] - counts["positive"])) | (
        negative & ~_survivors(scores, negative, sizes["negative"] - counts["negative"])
    )


def _survivors(scores: Tensor, among: Tensor, count: int) -> Tensor:
    if among.all():  # as where only the living are there at all
        return keep_largest(scores, count)
    if scores.is_floating_point() and scores.sum().isfinite():
        # The same choice, without picking the scores out and putting the answers back.
        return keep_largest(scores.masked_fill(~among, -torch.inf), count)
    survivors = torch.zeros_like(among)
    survivors[among] = keep_largest(scores[among], count)
    return survivors
