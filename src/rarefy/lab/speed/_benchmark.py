"""What the benchmark of layers found: as a table, as data, as a page."""

import statistics
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from rarefy.lab._folder import finite, make_folder, write_json
from rarefy.lab._table import Table
from rarefy.lab.speed._measure import Timing
from rarefy.lab.speed._runtimes import RUNTIMES
from rarefy.lab.speed._worker import Refused
from rarefy.reports import speed_page

NOTHING = "–"  # noqa: RUF001 - the dash of a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer at one sparsity: our time and everybody else's."""

    work: str
    count: int
    """Tokens or images of the example."""
    counted: str
    sparsity: float
    ours: Timing | Refused
    others: dict[str, Timing | Refused]
    """Runtime to its time: dense runtimes on the dense weights, sparse ones on these."""
    peak: Timing | Refused
    moved: int
    """Bytes of input and output."""

    def best(self, *, sparse: bool = False) -> str | None:
        """The fastest of the other runtimes, the dense ones (torch among them) or the sparse."""
        timed = {
            name: found.median
            for name, found in self.others.items()
            if isinstance(found, Timing) and RUNTIMES[name].sparse == sparse
        }
        return min(timed, key=lambda name: timed[name]) if timed else None

    def times(self, other: str) -> float | None:
        """How many times as fast as ``other`` we are; None where one of the two has no time."""
        theirs = self.others.get(other)
        if not isinstance(self.ours, Timing) or not isinstance(theirs, Timing):
            return None
        return self.ours.times_as_fast(theirs)

    def share(self) -> float | None:
        """FLOPs on the nonzeros a second, as a share of the measured peak; None if unknown."""
        if not isinstance(self.ours, Timing) or not isinstance(self.peak, Timing):
            return None
        return self.ours.share_of(self.peak)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; seconds, bytes, shares."""
        return {
            "work": self.work,
            "count": self.count,
            "counted": self.counted,
            "sparsity": self.sparsity,
            "ours": told(self.ours, self.peak),
            "others": {name: told(found, self.peak) for name, found in self.others.items()},
            "times": {name: self.times(name) for name in self.others},
            "best_dense": self.best(),
            "share_of_peak": self.share(),
            "bytes_moved": self.moved,
        }


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Rows of a benchmark and the machine they were found on; ``print()`` shows them."""

    rows: tuple[Row, ...]
    threads: int
    precision: str
    ours: str
    """The runtime that is us."""
    machine: dict[str, Any]

    def table(self) -> Table:
        """One row a layer and sparsity: our time, and how many times as fast as others we are."""
        columns = ("layer", "on", "sparsity", "µs (quartiles)", "of peak", "weights, kB")
        against = ("x torch", "x best dense", "x best sparse")
        return Table((*columns, *against), tuple(map(_cells, self.rows)))

    def notes(self) -> tuple[str, ...]:
        """What the numbers are, what is missing and why, and what disturbed them."""
        lines = [
            f"{self.machine['cpu']}, {self.threads} thread{'' if self.threads == 1 else 's'}, "
            f"{self.precision}, kernel set {self.machine['kernel_set']}; peak "
            f"{_peak(self.rows)}. Whole calls in torch's layout, medians. 'x': how many times "
            "as fast as that; dense runtimes run the dense weights. 'of peak': FLOPs on the "
            "nonzeros, of the FMA peak measured here. At 0 % nothing is removed: what the sparse "
            "way itself costs.",
        ]
        if self.machine["busy"]:
            lines.append(
                f"This machine was busy (load {self.machine['load']:.1f} at the start): "
                "preliminary numbers. Run it again when it is quiet."
            )
        told = {row.ours.ready.note for row in self.rows if isinstance(row.ours, Timing)}
        lines += sorted(f"{self.ours}: {note}" for note in told if note)
        lines += [
            f"{name} is not installed: pip install {' '.join(missing)}"
            for name, runtime in RUNTIMES.items()
            if (missing := runtime.missing(self.precision))
        ]
        return (*lines, *_refusals(self.rows, self.ours))

    def __str__(self) -> str:
        return "\n".join([str(self.table()), "", *self.notes()])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data that ``json.dumps`` takes.

        Keys: ``format`` 1, ``threads, precision, machine, notes``, and ``rows``, each with
        ``work, count, counted, sparsity``; ``ours`` and ``others``, by name: ``median, lower,
        upper, least`` in seconds, ``calls, flops, dense_flops, bytes, dense_bytes, error,
        share_of_peak``, or ``refused`` with the reason; ``times``: how many times as fast as each
        we are; ``best_dense``; ``share_of_peak``; ``bytes_moved``, of input and output.
        """
        return {
            "format": 1,
            "threads": self.threads,
            "precision": self.precision,
            "machine": dict(self.machine),
            "notes": list(self.notes()),
            "rows": [row.to_dict() for row in self.rows],
        }

    def write(self, folder: "str | PathLike[str]") -> None:
        """Writes ``bench.json`` and ``bench.html``, the page with the roofline, into a folder.

        Raises:
            MissingExtra: The plotting library is not installed; the JSON is there then.
            FileError: The folder or a file cannot be written.
        """
        place = Path(folder)
        make_folder(place)
        write_json(place / "bench.json", finite(self.to_dict()))
        self.html(place / "bench.html")

    def html(self, path: "str | PathLike[str]") -> None:
        """Writes one self-contained page with the roofline.

        Raises:
            MissingExtra: The plotting library is not installed.
        """
        speed_page(self.to_dict(), path)


def told(found: Timing | Refused, peak: Timing | Refused) -> dict[str, Any]:
    """A time as plain data, or why there is none."""
    if isinstance(found, Refused):
        return {"refused": found.reason}
    lower, upper = found.quartiles
    known = peak if isinstance(peak, Timing) else None
    return {
        "median": found.median,
        "lower": lower,
        "upper": upper,
        "least": found.least,
        "calls": sum(map(len, found.rounds)),
        "flops": found.ready.flops,
        "dense_flops": found.ready.dense_flops,
        "bytes": found.ready.bytes,
        "dense_bytes": found.ready.dense_bytes,
        "error": found.ready.error,
        "seconds_to_prepare": found.ready.seconds,
        "share_of_peak": found.share_of(known) if known else None,
        "peak_flops": known.ready.flops / statistics.median(known.medians()) if known else None,
        "note": found.ready.note,
    }


def _cells(row: Row) -> tuple[str, ...]:
    against = (_against(row, "torch"), *(_against(row, row.best(sparse=s)) for s in (False, True)))
    first = (row.work, f"{row.count} {row.counted}", f"{row.sparsity:.0%}")
    if isinstance(row.ours, Refused):
        return (*first, *[NOTHING] * 3, *against)
    lower, upper = row.ours.quartiles
    share, size = row.share(), row.ours.ready.bytes
    return (
        *first,
        f"{row.ours.median * 1e6:,.0f} ({lower * 1e6:,.0f}-{upper * 1e6:,.0f})",
        NOTHING if share is None else f"{share:.0%}",
        NOTHING if size is None else f"{size / 1e3:,.0f}",
        *against,
    )


def _against(row: Row, name: str | None) -> str:
    times = row.times(name) if name else None
    if times is None:
        return NOTHING
    return f"{times:.2f}" if name == "torch" else f"{times:.2f} {name}"


def _peak(rows: tuple[Row, ...]) -> str:
    speeds = [
        row.peak.ready.flops / row.peak.median for row in rows if isinstance(row.peak, Timing)
    ]
    return f"{statistics.median(speeds) / 1e9:,.0f} GFLOP/s" if speeds else "not known"


def _refusals(rows: tuple[Row, ...], ours: str) -> list[str]:
    """One line a runtime and reason, however many rows it is missing from."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        for name, one in {ours: row.ours, "peak": row.peak, **row.others}.items():
            if isinstance(one, Refused):
                found[name, one.reason] = found.get((name, one.reason), 0) + 1
    return [f"{name}: no time in {times} rows: {why}" for (name, why), times in found.items()]
