"""One ranking for the whole model."""

from collections.abc import Callable, Mapping

from torch import Tensor

from rarefy._topk import count_largest
from rarefy._types import Units
from rarefy.errors import BudgetError


def global_(units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
    """Every unit competes with every other; each weight keeps what it wins, at least ``minimum``.

    Raises:
        BudgetError: ``count`` cannot be met.
    """
    return win(units, {name: part.scores for name, part in units.items()}, count, minimum)


def win(
    units: Mapping[str, Units],
    scores: Mapping[str, Callable[[], Tensor]],
    count: int,
    minimum: int,
) -> dict[str, int]:
    """How many of the ``count`` largest scores each weight holds, at least ``minimum`` each."""
    least = {name: min(minimum, part.capacity) for name, part in units.items()}
    most = sum(part.capacity for part in units.values())
    if not sum(least.values()) <= count <= most:
        raise BudgetError(
            f"cannot keep {count} units: {len(units)} weights must keep at least "
            f"{sum(least.values())} ({minimum} each) and can keep at most {most}. "
            "Choose another sparsity, or minimum=0 to let weights be emptied."
        )
    fixed: dict[str, int] = {}
    while True:
        # A weight that wins too little is lifted to its minimum and leaves the race; the others
        # then have less to share, so another may fall short. Each round fixes at least one.
        rest = count - sum(fixed.values())
        won = count_largest({n: s for n, s in scores.items() if n not in fixed}, rest)
        short = {name: least[name] for name, kept in won.items() if kept < least[name]}
        if not short:
            return {name: (fixed | won)[name] for name in units}
        fixed |= short
