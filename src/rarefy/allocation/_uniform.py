"""The same sparsity everywhere."""

from collections.abc import Mapping

from rarefy._apportion import apportion
from rarefy._types import Units


def uniform(units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
    """Keep the same share of every weight.

    Raises:
        BudgetError: ``count`` cannot be met.
    """
    return apportion(
        {name: float(part.size) for name, part in units.items()},
        count,
        capacity={name: part.capacity for name, part in units.items()},
        minimum=minimum,
    )
