"""The lines and rows of a report in words, the same for terminal, notebook and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rarefy.reports import _numbers as show
from rarefy.reports import _training

if TYPE_CHECKING:
    from rarefy.metrics import Count, Latency
    from rarefy.reports._report import Report

FORMATS = {"dense": "dense", "bitmask": "bitmask", "delta": "delta", "csr": "CSR", "coo": "COO"}
"""Format to how it is written."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of words."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]
    """Whether a column holds words (set left) and not numbers (set right)."""


def headline(report: Report) -> list[tuple[str, str]]:
    """The report's lines, each with the word it is about."""
    lines = [("state", f"{report.state}: {report.meaning}")]
    if report.method:
        lines.append(("method", method(report)))
    lines += [("weights", weights(report)), ("parameters", parameters(report))]
    lines.append(("bytes", sizes(report)))
    if report.flops:
        lines.append(("FLOPs", flops(report)))
    if report.latency:
        lines.append(("latency", latency(report)))
    if "fast" in report.latency:
        lines.append(("accelerated", accelerated(report)))
    if report.training:
        lines += _training.lines(report.training)
    if report.scores:
        lines.append(("score", scores(report)))
    lines.append(("dead", dead(report)))
    lines += [("not counted", f"FLOPs of {name}: {why}") for name, why in not_counted(report)]
    lines += [("not here", f"{what}: {why}") for what, why in report.absent.items()]
    return lines


def layers(report: Report) -> Rows:
    """One row a weight: targets first, then what was left out."""
    words = ["weight", "shape", "elements", "kept", "nonzero", "sparsity", "pattern"]
    words += ["smallest as", "bytes"]
    if report.flops:
        words += ["FLOPs left", "of dense"]
    text = {"weight", "shape", "pattern", "smallest as"}
    rows = tuple(_row(report, count) for count in report.counts.weights)
    return Rows(tuple(words), rows, tuple(word in text for word in words))


def _row(report: Report, count: Count) -> tuple[str, ...]:
    sizes = report.sizes.weights.get(count.name)
    cells = [
        " = ".join(count.aliases),
        show.sides(count.shape),
        show.count(count.size),
        show.count(count.kept),
        show.count(count.nonzero),
        show.percent(count.sparsity),
        (count.pattern or show.NOTHING) if count.target else "left out",
        FORMATS[sizes.format] if sizes else "dense",
        show.size(sizes.smallest if sizes else count.size * count.itemsize),
    ]
    if report.flops:
        share = report.flops.weights.get(count.name)
        cells += (
            [show.work(share.effective), show.work(share.dense)]
            if share
            else [show.NOTHING, show.NOTHING]
        )
    return tuple(cells)


def method(report: Report) -> str:
    """The method, its five words, and the step."""
    words = [f"{key} {value}" for key, value in report.words.items()]
    step = [] if report.step is None else [f"step {show.count(report.step)}"]
    return " · ".join([str(report.method), *words, *step])


def weights(report: Report) -> str:
    """Kept and nonzero over the targets."""
    counts = report.counts
    return (
        f"{show.count(counts.kept)} of {show.count(counts.size)} kept, "
        f"{show.percent(counts.sparsity)} sparsity; {show.count(counts.nonzero)} nonzero"
    )


def parameters(report: Report) -> str:
    """The same over everything."""
    counts = report.counts
    return (
        f"{show.count(counts.parameters)} with biases, norms and what was left out: "
        f"{show.percent(counts.parameters_sparsity)} removed; "
        f"{show.count(counts.parameters_nonzero)} nonzero"
    )


def sizes(report: Report) -> str:
    """Bytes of the whole model, by format of its targets."""
    parts = [f"{shown} {show.size(report.sizes.total(form))}" for form, shown in FORMATS.items()]
    parts.append(f"smallest {show.size(report.sizes.total('smallest'))}")
    if report.file_bytes is not None:
        parts.append(f"file on disk {show.size(report.file_bytes)}")
    if report.dense_bytes is not None:
        parts.append(f"dense reference {show.size(report.dense_bytes)}")
    return " · ".join(parts)


def flops(report: Report) -> str:
    """Effective and dense FLOPs."""
    if report.flops is None:
        return ""
    found = report.flops
    share = f" ({show.percent(found.effective / found.dense, 1)})" if found.dense else ""
    batch = f", batch of {found.batch}" if found.batch is not None else ""
    return (
        f"{show.work(found.effective)} effective of {show.work(found.dense)} dense{share}"
        f"{batch}; a multiply-add is 2"
    )


def latency(report: Report) -> str:
    """Time of this model and of the dense one."""
    text = spread(report.latency["this"])
    if "dense" in report.latency:
        lower, middle, upper = report.latency["this"].times_as_fast(report.latency["dense"])
        text += f"; dense {spread(report.latency['dense'])}; "
        text += f"{middle:.2f} times as fast ({lower:.2f} to {upper:.2f})"
    return f"{text}; {conditions(report.latency['this'])}"


def accelerated(report: Report) -> str:
    """Time of what was made of it to run fast, and how many of its weights run sparse."""
    fast = report.latency["fast"]
    against = "dense" if "dense" in report.latency else "this model"
    lower, middle, upper = fast.times_as_fast(report.latency.get("dense", report.latency["this"]))
    text = f"{spread(fast)}; {middle:.2f} times as fast as {against} ({lower:.2f} to {upper:.2f})"
    if not report.accelerated:
        return text
    kept = sum(bool(row["kept"]) for row in report.accelerated)
    return f"{text}; {kept} of {len(report.accelerated)} weights run sparse"


def kernels(report: Report) -> Rows:
    """One row a weight of the fast model: what it was timed at, what was kept, and why."""
    columns = ("weight", "density", "dense", "sparse", "runs", "why")
    rows = tuple(
        (
            str(row["name"]),
            show.percent(row["density"]),
            *(show.NOTHING if row[t] is None else show.duration(row[t]) for t in _TIMES),
            "sparse" if row["kept"] else "dense",
            str(row["why"]),
        )
        for row in report.accelerated
    )
    return Rows(columns, rows, (True, False, False, False, True, True))


_TIMES = ("dense", "sparse")


def spread(found: Latency) -> str:
    """Median and quartiles."""
    lower, upper = found.quartiles
    return f"{show.duration(found.median)} ({show.duration(lower)} to {show.duration(upper)})"


def conditions(found: Latency) -> str:
    """Under what conditions it was timed."""
    batch = f", batch of {found.batch}" if found.batch is not None else ""
    threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
    return f"{threads}{batch}, median and quartiles of {len(found.times)} rounds"


def scores(report: Report) -> str:
    """Each number of ``evaluate``, with the dense reference's."""
    dense = report.scores.get("dense", {})
    parts = []
    for name in dict.fromkeys([*report.scores.get("this", {}), *dense]):
        ours = report.scores.get("this", {}).get(name)
        text = f"{name} {show.value(ours) if ours is not None else show.NOTHING}"
        parts.append(text + (f" (dense {show.value(dense[name])})" if name in dense else ""))
    return " · ".join(parts)


def dead(report: Report) -> str:
    """Dead outputs and collapsed layers."""
    if not any(found.outputs for found in report.dead.values()):
        return "no output without a kept weight, no collapsed layer"
    parts = [
        f"{name} has collapsed" if found.collapsed else f"{_plural(len(found.outputs))} of {name}"
        for name, found in report.dead.items()
        if found.outputs
    ]
    return " · ".join(parts)


def not_counted(report: Report) -> list[tuple[str, str]]:
    """Weights whose FLOPs are unknown, and why."""
    return list(report.flops.not_counted.items()) if report.flops else []


def _plural(number: int) -> str:
    return f"{number} output" + ("" if number == 1 else "s")
