"""From which sparsity on one format is smaller than another."""

import math
from collections.abc import Iterator, Sequence

from rarefy.formats._format import Format, Size
from rarefy.formats._words import parse

_STEPS = 256


def break_even(
    first: str | Format,
    second: str | Format,
    shape: Sequence[int],
    itemsize: int,
    above: float = 0.0,
) -> float | None:
    """The least sparsity above ``above`` at which ``second`` takes fewer bytes than ``first``.

    Real layouts, places spread evenly at random; see :func:`bytes_of`. Of n:m only that there are
    slots enough is asked, not that no group has too many.

    Args:
        first: A format or its name.
        second: Another.
        shape: Sides of the weight.
        itemsize: Bytes of a value.
        above: Sparsity from which on to look.

    Returns:
        None where ``second`` never is the smaller one.

    >>> round(break_even("dense", "bitmask", (1000, 1000), 4), 4)
    0.0313
    """
    formats = [parse(one) if isinstance(one, str) else one for one in (first, second)]
    size = math.prod(shape)

    def sizes(number: int) -> Size:
        return lambda count: formats[number].expected(shape, count, itemsize)

    most = size - math.ceil(size * above)
    count = last_count(sizes(0), sizes(1), most)
    return None if count is None or not size else 1 - count / size


def last_count(first: Size, second: Size, most: int) -> int | None:
    """The largest number of kept places, up to ``most``, for which ``second`` is the smaller.

    Looked for on a grid and then between its lines, so that a band narrower than one in some two
    hundred counts may be missed.
    """
    above: int | None = None
    for count in _grid(most):
        if second(count) < first(count):
            return count if above is None else _between(first, second, count, above)
        above = count
    return None


def _grid(most: int) -> Iterator[int]:
    """Counts from ``most`` down to 0, evenly spaced, and finer where few are left."""
    even = {most * step // _STEPS for step in range(_STEPS + 1)}
    small = {round(most * 0.9**step) for step in range(_STEPS)}
    yield from sorted(even | small, reverse=True)


def _between(first: Size, second: Size, low: int, high: int) -> int:
    # second is the smaller one with `low` places, not with `high`.
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if second(middle) < first(middle) else (low, middle)
    return low
