"""Linear layers against torch eager and the best dense runtime: python benchmarks/speed/linear.py.

Whole calls in torch's layout, unstructured masks with rows and columns of unequal density, one
thread unless --threads says else; every dense runtime that is installed is timed in the same run.
"""

import argparse
from typing import Any

from bars import DENSE, Bar, Found, finish, installed, options, ours, progress

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Stand

SHAPES = ((768, 768), (768, 3072), (3072, 768), (4096, 4096))
TOKENS = (32, 128, 512)
WANTED = {0.8: (7, 2.8, 0.52), 0.9: (12, 4.8, 0.47), 0.95: (18, 8, 0.38)}
"""Sparsity to times torch eager, times the best dense runtime, share of the peak."""
MANY = 128
"""Tokens from which on the share of the peak has a bar."""


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time every shape on every number of tokens, dense and at each sparsity."""
    bars = {
        (column, sparsity): Bar(f"{sparsity:.0%}, {column}", wanted[place])
        for place, column in enumerate(("times torch", "times best dense", "share of peak"))
        for sparsity, wanted in WANTED.items()
    }
    rows: list[dict[str, Any]] = []
    others = installed(DENSE)
    shapes, counts = (SHAPES[:1], (128,)) if given.quick else (SHAPES, TOKENS)
    with Stand() as stand:
        for shape in (speed.Shape(*each) for each in shapes):
            for tokens in counts:
                progress(f"{shape}, {tokens} tokens")
                dense = [Entry(r, shape.case(tokens, 0.0), threads=given.threads) for r in others]
                sparse = {
                    each: Entry(
                        ours(given), shape.case(tokens, each, skewed=True), threads=given.threads
                    )
                    for each in WANTED
                }
                found = Found(stand, [*dense, *sparse.values()], given)
                rows += found.rows(shape=str(shape), tokens=tokens)
                _add(bars, found, dense, sparse, f"{shape}, {tokens}", tokens >= MANY)
    return list(bars.values()), rows


def _add(
    bars: dict[tuple[str, float], Bar],
    found: Found,
    dense: list[Entry],
    sparse: dict[float, Entry],
    name: str,
    many: bool,
) -> None:
    torch, best = dense[0], found.best(dense)
    for sparsity, entry in sparse.items():
        bars["times torch", sparsity].add(
            name, found.times_as_fast(entry, torch), binds=found.weak(torch)
        )
        bars["times best dense", sparsity].add(
            name, found.times_as_fast(entry, best) if best else None
        )
        if many:
            bars["share of peak", sparsity].add(name, found.share(entry))


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("linear", bars, rows, machine, given)


if __name__ == "__main__":
    main()
