"""Thin weights stay denser than wide ones."""

import math
from collections.abc import Mapping

from rarefy._apportion import apportion
from rarefy._types import Units


def erdos_renyi(units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
    """Density in proportion to (outputs + inputs) / (outputs * inputs), one at most.

    What a full weight cannot take goes to the others, in the same proportion.

    Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse
    connectivity", 2018, eq. 1; Evci et al., "Rigging the Lottery", 2020, section 3.

    Raises:
        BudgetError: ``count`` cannot be met.
    """
    return _by_sides(units, count, minimum, sides=2)


def erdos_renyi_kernel(units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
    """As :func:`erdos_renyi`, with the kernel's sides in sum and product (ERK).

    Evci et al., "Rigging the Lottery", 2020, section 3.

    Raises:
        BudgetError: ``count`` cannot be met.
    """
    return _by_sides(units, count, minimum, sides=None)


def _by_sides(
    units: Mapping[str, Units], count: int, minimum: int, *, sides: int | None
) -> dict[str, int]:
    shares = {}
    for name, part in units.items():
        counted = part.shape[:sides]
        shares[name] = part.size * sum(counted) / math.prod(counted)
    return apportion(
        shares,
        count,
        capacity={name: part.capacity for name, part in units.items()},
        minimum=minimum,
    )
