"""Bars: what was wanted, what was found in each cell, and whether that is enough.

A bar is met when the median over its cells meets it and no cell is below 85 % of it. A cell that
does not bind is shown and not judged: torch eager binds only where it stays below half of the
measured FMA peak, since above that it is a good dense runtime and the next column says it all.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rarefy.lab import speed
from rarefy.lab.speed import Entry, Refused, Stand, Timing

FLOOR = 0.85
"""Share of a bar that no cell may be below."""
WEAK = 0.5
"""Share of the peak below which torch eager counts as a rival with a bar of its own."""
DENSE = ("torch", "onnxruntime", "openvino")
RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Cell:
    """One measured number."""

    name: str
    value: float
    binds: bool = True


@dataclass
class Bar:
    """A number that is wanted at least, or at most where ``below``, and the cells found."""

    name: str
    wanted: float
    below: bool = False
    cells: list[Cell] = field(default_factory=list)

    def add(self, name: str, value: float | None, *, binds: bool = True) -> None:
        """One cell more; None where a side of it could not be timed: it counts as nothing."""
        if value is None:
            value = float("inf") if self.below else 0.0
        self.cells.append(Cell(name, value, binds))

    def share(self, value: float) -> float:
        """How far ``value`` meets the bar: 1 is just enough."""
        if self.below:
            return self.wanted / value if value else float("inf")
        return value / self.wanted

    def judged(self) -> dict[str, Any]:
        """Median and worst of the cells that bind, and whether the bar is met; plain data."""
        binding = [cell for cell in self.cells if cell.binds]
        content: dict[str, Any] = {
            "bar": self.name,
            "wanted": self.wanted,
            "at_most": self.below,
            "binding_cells": len(binding),
            "cells": {cell.name: _finite(cell.value) for cell in self.cells},
            "not_binding": [cell.name for cell in self.cells if not cell.binds],
        }
        if not binding:
            return content | {"median": None, "worst": None, "worst_cell": None, "met": None}
        worst = min(binding, key=lambda cell: self.share(cell.value))
        median = statistics.median(cell.value for cell in binding)
        return content | {
            "median": _finite(median),
            "worst": self.share(worst.value),
            "worst_cell": worst.name,
            "met": self.share(median) >= 1 and self.share(worst.value) >= FLOOR,
        }


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None


def told(bars: Iterable[Bar]) -> str:
    """A table of verdicts, for a page in Markdown."""
    lines = [
        "| bar | wanted | median | worst cell, share of the bar | met |",
        "|---|---|---|---|---|",
    ]
    for bar in bars:
        found = bar.judged()
        if found["met"] is None:
            lines.append(f"| {bar.name} | {bar.wanted:g} | – | no cell binds here | – |")  # noqa: RUF001
            continue
        median = "none" if found["median"] is None else f"{found['median']:.3g}"
        sign = "<=" if bar.below else ">="
        lines.append(
            f"| {bar.name} | {sign} {bar.wanted:g} | {median} "
            f"| {found['worst']:.0%} ({found['worst_cell']}) | {'yes' if found['met'] else 'NO'} |"
        )
    return "\n".join(lines)


def cells(bars: Iterable[Bar]) -> str:
    """Every cell of every bar, one line a bar; those that do not bind in parentheses."""
    lines = []
    for bar in bars:
        parts = []
        for cell in bar.cells:
            text = f"{cell.name} {cell.value:.3g}"
            parts.append(text if cell.binds else f"({text})")
        lines.append(f"{bar.name}: " + "; ".join(parts))
    return "\n".join(lines)


def options(about: str) -> argparse.ArgumentParser:
    """The options that every one of these commands has."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="for each time measured")
    parser.add_argument("--rounds", type=int, default=7, help="turns it is split into")
    parser.add_argument("--threads", type=int, default=1, help="of each runtime")
    parser.add_argument("--quick", action="store_true", help="a few cells only, not for a claim")
    parser.add_argument(
        "--direct",
        action="store_true",
        help="time one plan of sparse kernels, not what rarefy.accelerate chose",
    )
    parser.add_argument("--out", type=Path, help="write the JSON there instead")
    return parser


def finish(
    name: str,
    bars: Iterable[Bar],
    rows: Iterable[Mapping[str, Any]],
    machine: Mapping[str, Any],
    given: argparse.Namespace,
) -> None:
    """Print the verdicts, and write everything as JSON with the machine it was found on."""
    bars = list(bars)
    print(told(bars))
    print()
    print(cells(bars))
    if machine["busy"]:
        print(f"\nThe machine was busy (load {machine['load']:.1f}): preliminary numbers.")
    content = {
        "command": " ".join(["python", f"benchmarks/speed/{name}.py", *sys.argv[1:]]),
        "machine": dict(machine),
        "bars": [bar.judged() for bar in bars],
        "rows": list(rows),
    }
    path = given.out or RESULTS / f"speed_{name}.json"
    if given.out is None and (given.quick or given.direct):
        print("\nNothing is written: --quick and --direct are not for claims (--out writes).")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"\n{path}")


def ours(given: argparse.Namespace) -> str:
    """The runtime that is us."""
    return "rarefy kernels" if given.direct else "rarefy"


def installed(names: Iterable[str]) -> list[str]:
    """Those runtimes that are here; the others are named on stderr."""
    found = []
    for name in names:
        missing = speed.runtime_of(name).missing()
        if missing:
            print(f"{name} is left out: pip install {' '.join(missing)}", file=sys.stderr)
        else:
            found.append(name)
    return found


class Found:
    """The times of one piece of work, by entry."""

    def __init__(self, stand: Stand, entries: list[Entry], given: argparse.Namespace) -> None:
        found, self.peaks = stand.measure(entries, seconds=given.seconds, rounds=given.rounds)
        self.entries = entries
        self.times = dict(zip(entries, found, strict=True))
        for entry, time in self.times.items():
            if isinstance(time, Refused):
                print(f"{entry.runtime}, {entry.case and entry.case.name}: {time.reason}")

    def times_as_fast(self, entry: Entry, other: Entry) -> float | None:
        """How many times as fast ``entry`` is; None where one has no time."""
        ours, theirs = self.times[entry], self.times[other]
        if isinstance(ours, Refused) or isinstance(theirs, Refused):
            return None
        return ours.times_as_fast(theirs)

    def best(self, entries: Iterable[Entry]) -> Entry | None:
        """The fastest of ``entries`` that has a time."""
        timed = {e: t for e in entries if isinstance(t := self.times[e], Timing)}
        return min(timed, key=lambda entry: timed[entry].median) if timed else None

    def share(self, entry: Entry, *, dense: bool = False) -> float | None:
        """Share of the measured FMA peak on as many threads; None where it is not known."""
        time, peak = self.times[entry], self.peaks[entry.threads]
        if isinstance(time, Refused) or isinstance(peak, Refused):
            return None
        return time.share_of(peak, dense=dense)

    def weak(self, entry: Entry) -> bool:
        """Whether a dense runtime stays below half of the peak; True where that is not known."""
        share = self.share(entry, dense=True)
        return share is None or share < WEAK

    def rows(self, **words: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - plain data
        """Every entry as plain data, with ``words`` beside it."""
        return [
            {
                **words,
                "case": entry.case.name if entry.case else None,
                "sparsity": entry.case.sparsity if entry.case else None,
                "runtime": entry.runtime,
                "precision": entry.precision,
                "threads": entry.threads,
                **speed.told(time, self.peaks[entry.threads]),
            }
            for entry, time in self.times.items()
        ]


def progress(text: str) -> None:
    """One line on stderr, so that a long run is seen to go on."""
    print(text, file=sys.stderr, flush=True)
