"""Numbers as people read them."""

import math
from collections.abc import Iterable

NOTHING = "–"  # noqa: RUF001 - the dash of a table
TIMES = "×"  # noqa: RUF001 - as in 300 by 64


def count(number: int) -> str:
    """``266200`` as ``266,200``."""
    return f"{number:,}"


def sides(shape: Iterable[int]) -> str:
    """A shape, its sides joined by a multiplication sign."""
    return f" {TIMES} ".join(map(str, shape))


def percent(share: float, digits: int = 2) -> str:
    """A share as percent; what is not quite all or nothing never looks like it.

    >>> percent(0.9), percent(0.999999), percent(1.0)
    ('90.00 %', '>99.99 %', '100.00 %')
    """
    shown = f"{100 * share:.{digits}f}"
    if share < 1 and float(shown) >= 100:
        return f">{100 - 10**-digits:.{digits}f} %"
    if share > 0 and float(shown) == 0:
        return f"<{10**-digits:.{digits}f} %"
    return f"{shown} %"


def size(number: float) -> str:
    """Bytes with a decimal unit: ``1064800`` as ``1.06 MB``."""
    return _scaled(number, ("B", "kB", "MB", "GB", "TB"))


def work(number: float) -> str:
    """FLOPs with a decimal unit: ``532400`` as ``532 kFLOP``."""
    return _scaled(number, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def duration(seconds: float) -> str:
    """Seconds with a unit that fits: ``0.00123`` as ``1.23 ms``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{_three(seconds * factor)} {unit}"
    return f"{_three(seconds * 1e9)} ns"


def value(number: float) -> str:
    """A score or another number whose unit is not known: four digits that count."""
    return f"{number:.4g}"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    if abs(number) < 1000:
        return f"{number:.0f} {units[0]}"
    place = min(int(math.log10(abs(number)) // 3), len(units) - 1)
    shown = _three(number / 1000**place)
    if shown == "1000" and place + 1 < len(units):  # 999,999 is 1.00 M, not 1000 k
        shown, place = "1.00", place + 1
    return f"{shown} {units[place]}"


def _three(number: float) -> str:
    return f"{number:.{max(0, 2 - math.floor(math.log10(number)))}f}" if number > 0 else "0"
