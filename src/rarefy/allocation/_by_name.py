"""A sparsity of its own for each weight that a pattern of names finds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rarefy._apportion import apportion, count_of
from rarefy._types import Units
from rarefy.errors import BudgetError, TargetError


@dataclass(frozen=True)
class ByName:
    r"""Fix the sparsity of the weights whose name a regular expression finds.

    The first expression that matches (``re.search``) counts. What is left of the budget is spread
    uniformly over the other weights, so that the whole still keeps exactly what was asked. Where
    every weight is fixed, the table may miss the budget by what rounding leaves over.

    >>> ByName({r"^0\.": 0.5, "head": 0.0}).table["head"]
    0.0
    """

    table: Mapping[str, float]
    """Regular expression to sparsity, the share removed, in [0, 1)."""
    final: float | None = None
    """Sparsity of the whole at which the table holds, where it rises towards it step by step: until
    then a fixed weight has come as far as the whole has. None where the table holds at once."""

    def __post_init__(self) -> None:
        for expression, sparsity in self.table.items():
            try:
                count_of(sparsity, 1)
                re.compile(expression)
            except BudgetError as error:
                raise BudgetError(f"allocation {expression!r}: {error}") from None
            except (TypeError, re.error) as error:
                raise TargetError(
                    f"allocation {expression!r}: {sparsity!r} is no regular expression with a "
                    f"sparsity ({error})."
                ) from error

    def __call__(self, units: Mapping[str, Units], count: int, minimum: int = 1) -> dict[str, int]:
        """Units kept by name.

        Raises:
            TargetError: An expression finds no weight.
            BudgetError: The fixed weights leave too much or too little for the others.
        """
        self._all_used(units)
        progress = self._progress(units, count)
        fixed = {
            name: _kept(part, sparsity * progress, minimum)
            for name, part in units.items()
            if (sparsity := self._sparsity(name)) is not None
        }
        others = {name: part for name, part in units.items() if name not in fixed}
        room = sum(part.capacity for part in others.values())
        need = min(minimum * len(others), room)
        rest = count - sum(fixed.values())
        slack = len(fixed) if progress < 1 or not others else 0
        if not need - slack <= rest <= room + slack:
            raise _misfit(units, fixed, count, room)
        rest = min(max(rest, need), room)
        if sum(fixed.values()) + rest != count:
            fixed = _spread(
                {name: units[name] for name in fixed}, count - rest, minimum, shares=fixed
            )
        return {name: (fixed | _spread(others, rest, minimum))[name] for name in units}

    def _progress(self, units: Mapping[str, Units], count: int) -> float:
        if not self.final:
            return 1.0
        whole = sum(part.size for part in units.values())
        return min(1.0, (whole - count) / max(1, whole - count_of(self.final, whole)))

    def _sparsity(self, name: str) -> float | None:
        return next((s for e, s in self.table.items() if re.search(e, name)), None)

    def _all_used(self, units: Mapping[str, Units]) -> None:
        for expression in self.table:
            if not any(re.search(expression, name) for name in units):
                raise TargetError(
                    f"allocation {expression!r} finds none of the weights: {', '.join(units)}"
                )


def _kept(part: Units, sparsity: float, minimum: int) -> int:
    return min(max(count_of(sparsity, part.size), minimum), part.capacity)


def _spread(
    units: Mapping[str, Units], count: int, minimum: int, shares: Mapping[str, int] | None = None
) -> dict[str, int]:
    wanted = shares or {name: part.size for name, part in units.items()}
    return apportion(
        {name: float(wanted[name]) for name in units},
        count,
        capacity={name: part.capacity for name, part in units.items()},
        minimum=minimum,
    )


def _misfit(
    units: Mapping[str, Units], fixed: Mapping[str, int], count: int, room: int
) -> BudgetError:
    whole = sum(part.size for part in units.values())
    kept = sum(fixed.values())
    return BudgetError(
        f"the allocation fixes {kept} kept units in {len(fixed)} weights, the whole is to keep "
        f"{count} of {whole}, and the other {len(units) - len(fixed)} weights can hold 0 to "
        f"{room}. Fix fewer weights, or ask for a sparsity from {1 - (kept + room) / whole} "
        f"(the others full) to {1 - kept / whole} (the others empty)."
    )
