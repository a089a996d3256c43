"""Layer-adaptive magnitude: scores made comparable between weights, then one ranking."""

from collections.abc import Callable, Mapping

from torch import Tensor

from rarefy._types import Units
from rarefy.allocation._global import win


def lamp(units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
    """Rank s^2 over the sum of s^2 of all units of the weight that score no less.

    With magnitude as the score this is LAMP: Lee et al., "Layer-adaptive sparsity for the
    magnitude-based pruning", 2021, eq. 2. The largest unit of every weight gets 1, so no weight is
    emptied while there is one unit for each.

    Raises:
        BudgetError: ``count`` cannot be met.
    """
    return win(
        units, {name: _normalised(part.scores) for name, part in units.items()}, count, minimum
    )


def _normalised(scores: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def make() -> Tensor:
        return lamp_scores(scores())

    return make


def lamp_scores(scores: Tensor) -> Tensor:
    """The normalised scores, shaped like ``scores``, in float64 where the device has it.

    Units removed for good carry -inf and keep it. Equal scores are counted in flat order, the
    earlier one as the larger, as :func:`rarefy._topk.keep_largest` breaks ties.

    >>> import torch
    >>> lamp_scores(torch.tensor([1.0, 2.0, 3.0])) * 14
    tensor([ 1.0000,  4.3077, 14.0000], dtype=torch.float64)
    """
    flat = scores.flatten().double() if scores.device.type != "mps" else scores.flatten()
    removed = flat == -float("inf")
    square = flat.masked_fill(removed, 0).square()
    largest_first = square.argsort(descending=True, stable=True)
    in_order = square[largest_first]
    normalised = square.clone()
    normalised[largest_first] = in_order / in_order.cumsum(0).clamp_min(1e-300)
    return normalised.masked_fill(removed, -float("inf")).reshape(scores.shape)
