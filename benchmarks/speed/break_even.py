"""From which sparsity on sparse is faster than dense: python benchmarks/speed/break_even.py."""

import argparse
from typing import Any

from bars import DENSE, Bar, Found, finish, installed, options, progress

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Shape, Stand

WORK = (
    (Shape(768, 768), (1, 8, 32, 128)),
    (Shape(3072, 768), (1, 8, 32, 128)),
    (Shape(4096, 4096), (1, 32)),
    (Shape(128, 128, 3, 28), (1, 16)),
    (Shape(256, 256, 3, 14), (1, 16)),
)
SPARSITIES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FROM = 0.5


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time the sparse kernels at each sparsity against every dense runtime."""
    bar = Bar("what accelerate gives from 50 % up, times best dense: never slower", 1)
    rows: list[dict[str, Any]] = []
    others = installed(DENSE)
    with Stand() as stand:
        for shape, counts in WORK[:1] if given.quick else WORK:
            for count in counts:
                progress(f"{shape}, {count} {shape.rows}")
                dense = [Entry(r, shape.case(count, 0.0), threads=given.threads) for r in others]
                cases = [shape.case(count, each, skewed=True) for each in SPARSITIES]
                kernels = [Entry("rarefy kernels", case, threads=given.threads) for case in cases]
                chosen = [
                    Entry("rarefy", case, threads=given.threads)
                    for case in cases
                    if case.sparsity >= FROM
                ]
                found = Found(stand, [*dense, *kernels, *chosen], given)
                rows += found.rows(shape=str(shape), count=count)
                best = found.best(dense)
                for entry in chosen:
                    bar.add(
                        entry.case.name if entry.case else "",
                        found.times_as_fast(entry, best) if best else None,
                    )
                for name, other in (("torch", dense[0]), ("the best dense", best)):
                    print(f"{shape}, {count} {shape.rows}: kernels pay against {name} from "
                          f"{_first(found, kernels, other)}")  # fmt: skip
    return [bar], rows


def _first(found: Found, kernels: list[Entry], other: Entry | None) -> str:
    """The lowest of the sparsities from which on the kernels are never slower than ``other``."""
    paying: float | None = None
    for entry in reversed(kernels):
        times = found.times_as_fast(entry, other) if other else None
        if times is None or times < 1 or entry.case is None:
            break
        paying = entry.case.sparsity
    return "no sparsity that was timed" if paying is None else f"{paying:.0%}"


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("break_even", bars, rows, machine, given)


if __name__ == "__main__":
    main()
