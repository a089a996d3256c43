"""What the demonstration found: one row a method, as text, as a table, as data."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rarefy.lab._folder import RunFolder, finite
from rarefy.lab._setup import DENSE
from rarefy.lab._table import Table
from rarefy.lab.tasks import Task
from rarefy.reports import Comparison, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Results of :func:`rarefy.lab.demo`; ``print(demo)`` shows them."""

    task: Task
    sparsity: float
    steps: int
    """Optimizer steps of each run."""
    accuracy: dict[str, tuple[float, ...]]
    """Method to its accuracy for each seed, a share of the test samples."""
    comparison: Comparison
    """Method to the report of its first seed."""
    folder: Path
    seconds: float
    """For everything but writing the page."""

    @property
    def page(self) -> Path:
        """The page with everything in it."""
        return self.folder / "report.html"

    def weights(self, method: str) -> Path:
        """The file of that method's first model."""
        return RunFolder(self.folder / method).weights

    def table(self) -> Table:
        """One row a method."""
        dense = self.comparison[DENSE]
        columns = ("method", "accuracy", "nonzero", "bytes on disk", "FLOPs", "latency")
        rows = (
            (
                name,
                _spread(self.accuracy[name]),
                f"{found.counts.nonzero:,}",
                f"{_bytes(found):,} ({_share(_bytes(found), _bytes(dense))})",
                f"{_flops(found):,} ({_share(_flops(found), _flops(dense))})",
                f"{found.latency['this'].median * 1e6:,.0f} µs",
            )
            for name, found in self.comparison.items()
        )
        return Table(columns, tuple(rows))

    def notes(self) -> tuple[str, ...]:
        """What the numbers are, and what they are not."""
        seeds = len(self.accuracy[DENSE])
        return (
            f"Accuracy on {len(self.task.data.test_targets):,} test samples: mean of "
            f"{seeds} seed{'' if seeds == 1 else 's'}"
            + (" ± standard deviation. " if seeds > 1 else ". ")
            + "All four take the same steps on the same batches; the rest is of seed 0.",
            "FLOPs are those of one sample with products by zero left out, which these models do "
            "not yet do: masked, they run dense kernels. So latency (one sample, one thread) "
            "differs by chance alone; what is smaller today is the file.",
        )

    def __str__(self) -> str:
        head = f"{self.task.name}: {self.task.description}"
        run = f"{self.sparsity:.0%} sparsity, {self.steps:,} steps a run"
        return "\n".join([head, run, "", str(self.table()), "", *self.notes()])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data that ``json.dumps`` takes.

        Keys: ``task, sparsity, steps, seeds, notes, folder, page, seconds``, and ``methods``, by
        name: ``accuracy`` of each seed and ``accuracy_mean``, shares; ``size, kept, nonzero``,
        weights; ``bytes`` on disk; ``flops, flops_dense``; ``latency``, seconds; ``file``.
        """
        return {
            "task": self.task.name,
            "sparsity": self.sparsity,
            "steps": self.steps,
            "seeds": len(self.accuracy[DENSE]),
            "methods": {name: self._method(name) for name in self.comparison},
            "notes": list(self.notes()),
            "folder": str(self.folder),
            "page": str(self.page),
            "seconds": self.seconds,
        }

    def _method(self, name: str) -> dict[str, Any]:
        found = self.comparison[name]
        timed = found.latency["this"]
        lower, upper = timed.quartiles
        content = {
            "accuracy": list(self.accuracy[name]),
            "accuracy_mean": statistics.fmean(self.accuracy[name]),
            "size": found.counts.size,
            "kept": found.counts.kept,
            "nonzero": found.counts.nonzero,
            "bytes": _bytes(found),
            "flops": _flops(found),
            "flops_dense": found.flops.dense if found.flops else 0,
            "latency": {"median": timed.median, "lower": lower, "upper": upper},
            "file": str(self.weights(name)),
        }
        checked: dict[str, Any] = finite(content)
        return checked


def _spread(shares: tuple[float, ...]) -> str:
    mean = f"{100 * statistics.fmean(shares):.2f}"
    if len(shares) == 1:
        return f"{mean} %"
    return f"{mean} ± {100 * statistics.stdev(shares):.2f} %"


def _bytes(found: Report) -> int:
    return found.file_bytes or 0


def _flops(found: Report) -> int:
    return found.flops.effective if found.flops else 0


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"
