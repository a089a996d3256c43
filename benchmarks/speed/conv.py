"""3x3 convolutions at 90 %, NCHW in and out: python benchmarks/speed/conv.py."""

import argparse
from typing import Any

from bars import DENSE, Bar, Found, finish, installed, options, ours, progress

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Shape, Stand

SHAPES = (
    Shape(64, 64, 3, 56),
    Shape(128, 128, 3, 28),
    Shape(256, 256, 3, 14),
    Shape(512, 512, 3, 7),
)
BESIDE = (Shape(256, 64, 1, 56), Shape(1024, 256, 1, 14))
"""1x1 convolutions: timed and shown, without a bar."""
WANTED = {16: (3, 2.5), 1: (4, 3)}
"""Batch to times torch eager and times the best dense runtime."""
SPARSITIES = (0.8, 0.9, 0.95)
AT = 0.9


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time every layer at every batch, dense and at each sparsity."""
    bars = {
        (batch, place): Bar(f"batch {batch}, 90 %, times {column}", wanted[place])
        for batch, wanted in WANTED.items()
        for place, column in enumerate(("torch", "best dense"))
    }
    rows: list[dict[str, Any]] = []
    others = installed(DENSE)
    with Stand() as stand:
        for shape in SHAPES[1:2] if given.quick else (*SHAPES, *BESIDE):
            for batch in WANTED:
                progress(f"{shape}, batch {batch}")
                dense = [Entry(r, shape.case(batch, 0.0), threads=given.threads) for r in others]
                sparse = {
                    each: Entry(
                        ours(given), shape.case(batch, each, skewed=True), threads=given.threads
                    )
                    for each in SPARSITIES
                }
                found = Found(stand, [*dense, *sparse.values()], given)
                rows += found.rows(shape=str(shape), batch=batch)
                if shape in SHAPES:
                    torch, best = dense[0], found.best(dense)
                    against = found.times_as_fast(sparse[AT], torch)
                    bars[batch, 0].add(str(shape), against, binds=found.weak(torch))
                    bars[batch, 1].add(
                        str(shape), found.times_as_fast(sparse[AT], best) if best else None
                    )
    return list(bars.values()), rows


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("conv", bars, rows, machine, given)


if __name__ == "__main__":
    main()
