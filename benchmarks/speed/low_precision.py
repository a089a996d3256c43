"""int8 and bfloat16, sparse against dense: python benchmarks/speed/low_precision.py.

openvino's int8 is what nncf quantizes after training, torch's is ``quantize_dynamic``.
"""

import argparse
from typing import Any

from bars import Bar, Found, finish, installed, options, progress

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Shape, Stand

SHAPES = (Shape(768, 768), Shape(768, 3072), Shape(3072, 768), Shape(4096, 4096))
TOKENS = (32, 128, 512)
HALF_TOKENS = (16, 32, 128, 512)
INT8 = {0.8: {"openvino": 1.6, "torch": 2.0}, 0.9: {"openvino": 2.2, "torch": 3.4}}
HALF = {0.9: {"openvino": 2.4}}
PRECISIONS = {"int8": (INT8, TOKENS), "bfloat16": (HALF, HALF_TOKENS)}


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time each precision on each shape."""
    bars = {
        (precision, sparsity, rival): Bar(
            f"{precision}, {sparsity:.0%}, times {rival} {precision}", wanted
        )
        for precision, (wanted_by, _) in PRECISIONS.items()
        for sparsity, by_rival in wanted_by.items()
        for rival, wanted in by_rival.items()
    }
    rows: list[dict[str, Any]] = []
    others = installed(("openvino", "torch"))
    with Stand() as stand:
        for precision, (wanted, counts) in PRECISIONS.items():
            for shape in SHAPES[:1] if given.quick else SHAPES:
                for tokens in counts[1:2] if given.quick else counts:
                    progress(f"{precision}: {shape}, {tokens} tokens")
                    dense = {
                        name: Entry(name, shape.case(tokens, 0.0), precision, given.threads)
                        for name in others
                    }
                    sparse = {
                        each: Entry(
                            "rarefy", shape.case(tokens, each, skewed=True), precision,
                            given.threads,
                        )
                        for each in wanted
                    }  # fmt: skip
                    found = Found(stand, [*dense.values(), *sparse.values()], given)
                    rows += found.rows(shape=str(shape), tokens=tokens)
                    for sparsity, by_rival in wanted.items():
                        for rival in by_rival:
                            times = (
                                found.times_as_fast(sparse[sparsity], dense[rival])
                                if rival in dense
                                else None
                            )
                            bars[precision, sparsity, rival].add(f"{shape}, {tokens}", times)
    return list(bars.values()), rows


def main() -> None:
    """The command."""
    given = options(__doc__ or "").parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("low_precision", bars, rows, machine, given)


if __name__ == "__main__":
    main()
