"""What the demonstration found: one row a method, as text, as a table, as data."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rarefy.lab._folder import RunFolder, finite
from rarefy.lab._setup import DENSE
from rarefy.lab._table import Table
from rarefy.lab.tasks import Task
from rarefy.metrics import Latency
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
    kernels: dict[str, Latency]
    """Method to the time of its weights on our kernels alone; empty where none runs."""
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
        columns = (
            "method", "accuracy", "nonzero", "bytes on disk", "FLOPs", "latency", "accelerated",
            "kernels", "in training",
        )  # fmt: skip
        rows = (
            (
                name,
                _spread(self.accuracy[name]),
                f"{found.counts.nonzero:,}",
                f"{_bytes(found):,} ({_share(_bytes(found), _bytes(dense))})",
                f"{_flops(found):,} ({_share(_flops(found), _flops(dense))})",
                f"{found.latency['this'].median * 1e6:,.0f} µs",
                _accelerated(found),
                _microseconds(self.kernels.get(name)),
                _training(found),
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
            f"In training: bytes of weights, gradients and optimizer state. {self._storages()}",
            "FLOPs are those of one sample with products by zero left out. Latency (one sample, "
            "one thread) is that of the model as it was trained: masked, it runs dense kernels and "
            "leaves nothing out, so it differs by chance alone.",
            "Accelerated: what rarefy.accelerate makes of it, and how many times as fast that is "
            "as the dense network in torch, timed in turns; what does not win stays dense. "
            "Kernels: every weight through our kernels, called directly. What the dense row gains "
            "there is the kernels' own; what the others gain over it is the zeros'.",
            *_stayed_dense(self.comparison),
        )

    def _storages(self) -> str:
        found = (report.training for report in self.comparison.values())
        masked = "Masked is simulated: dense speed and memory"
        if any(each is not None and each.storage == "compressed" for each in found):
            return (
                "Compressed layers hold and multiply only what lives; GMP starts dense, so it is "
                f"masked. {masked}."
            )
        return f"{masked}; storage='compressed' holds and multiplies only what lives."

    def __str__(self) -> str:
        head = f"{self.task.name}: {self.task.description}"
        run = f"{self.sparsity:.0%} sparsity, {self.steps:,} steps a run"
        return "\n".join([head, run, "", str(self.table()), "", *self.notes()])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data that ``json.dumps`` takes.

        Keys: ``task, sparsity, steps, seeds, notes, folder, page, seconds``, and ``methods``, by
        name: ``accuracy`` of each seed and ``accuracy_mean``, shares; ``size, kept, nonzero``,
        weights; ``training``, its storage and bytes; ``bytes`` on disk; ``flops, flops_dense``;
        ``latency, accelerated, kernels``, seconds, the last None where no kernel ran;
        ``times_as_fast``: the accelerated as the dense; ``file``.
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
        fast = found.latency.get("fast")
        content = {
            "accuracy": list(self.accuracy[name]),
            "accuracy_mean": statistics.fmean(self.accuracy[name]),
            "size": found.counts.size,
            "kept": found.counts.kept,
            "nonzero": found.counts.nonzero,
            "training": found.training.plain() if found.training else None,
            "bytes": _bytes(found),
            "flops": _flops(found),
            "flops_dense": found.flops.dense if found.flops else 0,
            "latency": _seconds(found.latency["this"]),
            "accelerated": fast and _seconds(fast),
            "times_as_fast": _times(found),
            "kernels": _seconds(self.kernels[name]) if name in self.kernels else None,
            "file": str(self.weights(name)),
        }
        checked: dict[str, Any] = finite(content)
        return checked


def _training(found: Report) -> str:
    training = found.training
    if training is None:
        return "not known"
    kind = {"masked": ", simulated", "compressed": ", compressed"}.get(training.storage, "")
    held = training.bytes.total if kind else training.bytes.dense
    return f"{held / 1000:,.0f} kB{kind}"


def _accelerated(found: Report) -> str:
    times = _times(found)
    told = _microseconds(found.latency.get("fast"))
    return told if times is None else f"{told} ({times:.1f}x)"


def _microseconds(timed: Latency | None) -> str:
    return "no kernel" if timed is None else f"{timed.median * 1e6:,.0f} µs"


def _times(found: Report) -> float | None:
    """How many times as fast as the dense network the accelerated one is, in pairs."""
    fast = found.latency.get("fast")
    if fast is None:
        return None
    return fast.times_as_fast(found.latency.get("dense", found.latency["this"]))[1]


def _stayed_dense(comparison: Comparison) -> list[str]:
    """A line for each accelerated network that has weights which run dense."""
    lines = []
    for name, found in comparison.items():
        left = [row for row in found.accelerated if not row["kept"]]
        if left:
            reasons = "; ".join(f"{row['name']} ({row['why']})" for row in left)
            lines.append(f"{name}: of {len(found.accelerated)} weights these run dense: {reasons}")
    return lines


def _seconds(timed: Latency) -> dict[str, float]:
    lower, upper = timed.quartiles
    return {"median": timed.median, "lower": lower, "upper": upper}


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
