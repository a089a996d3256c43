"""One token: where only bytes count. python benchmarks/speed/one_token.py.

Times torch eager and the best dense runtime at 90 %; a chain of four 768x768 in one plan; and from
50 % up, whether sparse is ever slower than dense.
"""

import argparse
from functools import partial
from typing import Any

from bars import DENSE, Bar, Found, finish, installed, options, ours, progress

from rarefy.lab import speed
from rarefy.lab.speed import Case, Entry, Stand

LARGE = ((4096, 4096), (3072, 768), (768, 3072))
SMALL = (768, 768)
CHAIN = 4
FROM = (0.5, 0.6, 0.7, 0.8, 0.95)
"""Sparsities at which sparse must not be slower than dense; 90 % is timed anyway."""
AT = 0.9


def case(shape: tuple[int, int], layers: int, sparsity: float) -> Case:
    """A layer, or a chain with ReLU between, on one token."""
    build = partial(speed.linear, *shape, 1, layers=layers, sparsity=sparsity, skewed=sparsity > 0)
    several = f"{layers} of " if layers > 1 else ""
    return Case(f"{several}{shape[0]}x{shape[1]}, {sparsity:.0%}", build, sparsity)


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time each shape at each sparsity."""
    bars = {
        "torch": Bar("90 %, 4096x4096 and the two of the FFN, times torch", 6),
        "best": Bar("90 %, 4096x4096 and the two of the FFN, times best dense", 4),
        "chain": Bar("90 %, four chained 768x768 in one plan, times torch", 5),
        "alone": Bar("90 %, one 768x768 alone, times torch", 3.5),
        "never": Bar("50 % and more, times best dense: never slower", 1),
    }
    work = [(shape, 1) for shape in (*LARGE, SMALL)] + [(SMALL, CHAIN)]
    rows: list[dict[str, Any]] = []
    others = installed(DENSE)
    with Stand() as stand:
        for shape, layers in work[-2:] if given.quick else work:
            progress(f"{layers} of {shape}")
            dense = [Entry(r, case(shape, layers, 0.0), threads=given.threads) for r in others]
            sparse = [
                Entry(ours(given), case(shape, layers, each), threads=given.threads)
                for each in (AT, *FROM)
            ]
            found = Found(stand, [*dense, *sparse], given)
            rows += found.rows(shape=f"{shape[0]}x{shape[1]}", layers=layers)
            _add(bars, found, dense, sparse, shape in LARGE, layers)
    return list(bars.values()), rows


def _add(
    bars: dict[str, Bar],
    found: Found,
    dense: list[Entry],
    sparse: list[Entry],
    large: bool,
    layers: int,
) -> None:
    torch, best = dense[0], found.best(dense)
    for entry in sparse:
        name = entry.case.name if entry.case else ""
        against_best = found.times_as_fast(entry, best) if best else None
        bars["never"].add(name, against_best)
        if entry is not sparse[0]:
            continue
        binds = found.weak(torch)
        column = "torch" if large else "chain" if layers > 1 else "alone"
        bars[column].add(name, found.times_as_fast(entry, torch), binds=binds)
        if large:
            bars["best"].add(name, against_best)


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("one_token", bars, rows, machine, given)


if __name__ == "__main__":
    main()
