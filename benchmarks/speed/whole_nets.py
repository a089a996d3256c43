"""Whole networks at 90 %: python benchmarks/speed/whole_nets.py (after train_masks.py).

An encoder of 4 layers of BERT-base's shape at 128 tokens and a ResNet-18-shaped network at 224 x
224, batch 1 and 16, with masks of their own training and with ERK's; and MiniLM's own weights.
"""

import argparse
from typing import Any

from bars import DENSE, Bar, Found, finish, installed, options, progress
from networks import cases

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Stand, Timing

WANTED = {
    "encoder, 128 tokens": (6, None),
    "resnet, batch 1": (5.5, 2.5),
    "resnet, batch 16": (6.5, 2.2),
    "minilm, 128 tokens": (None, None),
}
"""Network to times torch eager and times the best dense runtime; None where there is no bar."""
CLOSE = 1e-4
"""Largest difference from torch, over the largest output."""


def run(given: argparse.Namespace) -> tuple[list[Bar], list[dict[str, Any]]]:
    """Time each network dense by all, and sparse by us."""
    bars: list[Bar] = []
    erk = Bar("ERK at 90 %, times best dense: never slower", 1)
    close = Bar("difference from torch, of the largest output", CLOSE, below=True)
    rows: list[dict[str, Any]] = []
    others = installed(DENSE)
    known = cases()
    for name in given.only or known:
        progress(name)
        dense = [Entry(r, known[name]["dense"], threads=given.threads) for r in others]
        sparse = {
            masks: Entry("rarefy", case, threads=given.threads)
            for masks, case in known[name].items()
            if masks != "dense"
        }
        with Stand() as stand:  # one network at a time in memory
            found = Found(stand, [*dense, *sparse.values()], given)
        rows += found.rows(network=name)
        _add(bars, found, dense, sparse["trained"], name)
        best = found.best(dense)
        if "erk" in sparse:
            erk.add(name, found.times_as_fast(sparse["erk"], best) if best else None)
        for entry in sparse.values():
            time = found.times[entry]
            close.add(
                entry.case.name if entry.case else name,
                time.ready.error if isinstance(time, Timing) else None,
            )
    return [*bars, erk, close], rows


def _add(bars: list[Bar], found: Found, dense: list[Entry], entry: Entry, name: str) -> None:
    torch, best = dense[0], found.best(dense)
    for column, other, wanted in zip(
        ("torch", "best dense"), (torch, best), WANTED[name], strict=True
    ):
        times = found.times_as_fast(entry, other) if other else None
        if wanted is None:
            print(f"{name}: {times or 0:.2f} times {column} (no bar)")
            continue
        bar = Bar(f"{name}, times {column}", wanted)
        bar.add(name, times, binds=column != "torch" or found.weak(torch))
        bars.append(bar)


def main() -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", nargs="*", choices=WANTED, help="these networks alone")
    given = parser.parse_args()
    machine = speed.machine()
    bars, rows = run(given)
    finish("whole_nets", bars, rows, machine, given)


if __name__ == "__main__":
    main()
