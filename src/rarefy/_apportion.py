"""Shares become whole numbers, exactly: the only rounding of counts."""

import math
from collections.abc import Mapping
from fractions import Fraction

from rarefy.errors import BudgetError


def count_of(sparsity: float, size: int) -> int:
    """Units kept of ``size``: a sparsity becomes a whole number here and nowhere else.

    Raises:
        BudgetError: The sparsity is not in [0, 1).

    >>> count_of(0.9, 1_000)
    100
    """
    if not 0 <= sparsity < 1:
        near = f" Did you mean {sparsity / 100:g}?" if 1 < sparsity < 100 else ""
        raise BudgetError(
            f"a sparsity is the share of the weights removed, in [0, 1); found {sparsity:g}.{near}"
        )
    return round((1 - sparsity) * size)


def apportion(
    shares: Mapping[str, float],
    total: int,
    *,
    capacity: Mapping[str, int],
    minimum: int = 0,
) -> dict[str, int]:
    """Whole numbers in proportion to ``shares`` that add up to ``total``.

    No name gets more than its capacity; what it would have got beyond goes to the others, again
    in proportion. No name gets less than ``minimum`` (or its capacity, if that is smaller).
    What rounding leaves over goes to the largest remainders, ties to the earlier name. Computed
    in fractions, so that no order of the names and no size of the numbers changes a count.

    Args:
        shares: Finite, not negative; where all of the open ones are zero they count as equal.
        total: What is to be split.
        capacity: Most that each name can take.
        minimum: Least that each name gets.

    Raises:
        BudgetError: ``total`` is above all capacities or below all minima, or a share is no share.

    >>> apportion({"a": 3.0, "b": 1.0}, 8, capacity={"a": 100, "b": 100})
    {'a': 6, 'b': 2}
    >>> apportion({"a": 3.0, "b": 1.0}, 8, capacity={"a": 5, "b": 100})
    {'a': 5, 'b': 3}
    """
    least = {name: min(minimum, capacity[name]) for name in shares}
    if not sum(least.values()) <= total <= sum(capacity[name] for name in shares):
        raise BudgetError(
            f"cannot keep {total} units: {len(shares)} weights must keep at least "
            f"{sum(least.values())} ({minimum} each) and can keep at most "
            f"{sum(capacity[name] for name in shares)}. "
            "Choose another sparsity, or minimum=0 to let weights be emptied."
        )
    exact = {name: _exact(name, share) for name, share in shares.items()}
    fixed, quotas = _settled(exact, total, least, capacity)
    counts = {name: math.floor(quota) for name, quota in quotas.items()}
    order = sorted(counts, key=lambda name: counts[name] - quotas[name])
    for name in order[: total - sum(fixed.values()) - sum(counts.values())]:
        counts[name] += 1
    return {name: fixed[name] if name in fixed else counts[name] for name in shares}


def _settled(
    shares: Mapping[str, Fraction],
    total: int,
    least: Mapping[str, int],
    capacity: Mapping[str, int],
) -> tuple[dict[str, int], dict[str, Fraction]]:
    """Names held at a bound with their counts, and the quotas of the others, within theirs."""
    fixed: dict[str, int] = {}
    while True:
        quotas = _quotas({n: s for n, s in shares.items() if n not in fixed}, total, fixed)
        full = {n: capacity[n] for n, quota in quotas.items() if quota >= capacity[n]}
        low = {n: least[n] for n, quota in quotas.items() if quota < least[n]}
        if not full and not low:
            return fixed, quotas
        fixed |= _surer(quotas, full, low)


def _exact(name: str, share: float) -> Fraction:
    if not (math.isfinite(share) and share >= 0):
        raise BudgetError(
            f"{name} has a share of {share!r}: units are split by finite shares of 0 or more."
        )
    return Fraction(share)


def _quotas(
    shares: Mapping[str, Fraction], total: int, fixed: Mapping[str, int]
) -> dict[str, Fraction]:
    rest = total - sum(fixed.values())
    whole = sum(shares.values(), Fraction(0))
    if whole == 0:
        return dict.fromkeys(shares, Fraction(rest, len(shares))) if shares else {}
    return {name: rest * share / whole for name, share in shares.items()}


def _surer(
    quotas: Mapping[str, Fraction], full: Mapping[str, int], low: Mapping[str, int]
) -> Mapping[str, int]:
    # Fixing both kinds at once could overshoot: a name that is low now may be fine once the
    # excess of the full ones is handed on, and the other way round. The larger violation is sure
    # to stay, so it goes first.
    excess = sum(quotas[name] - capacity for name, capacity in full.items())
    missing = sum(least - quotas[name] for name, least in low.items())
    return full if full and excess >= missing else low
