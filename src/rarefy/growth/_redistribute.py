"""How many newcomers each weight gets, when they move between weights."""

from collections.abc import Mapping

from rarefy._apportion import apportion


def redistribute(
    removed: int, worth: Mapping[str, float], free: Mapping[str, int]
) -> dict[str, int]:
    """Newcomers by name: ``removed`` in all, in proportion to ``worth``, no more than are free.

    Dettmers and Zettlemoyer, "Sparse Networks from Scratch", 2019, section 3.1, where the worth of
    a weight is the mean size of the momentum of its living entries. What a weight cannot take goes
    to the others, in the same proportion.

    Raises:
        BudgetError: There are fewer free places than newcomers.

    >>> redistribute(8, {"a": 3.0, "b": 1.0}, {"a": 50, "b": 50})
    {'a': 6, 'b': 2}
    """
    return apportion(worth, removed, capacity=free)
