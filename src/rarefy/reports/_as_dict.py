"""A report as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rarefy.metrics import Count, Latency
    from rarefy.reports._report import Report


def as_dict(report: Report) -> dict[str, Any]:
    """See :meth:`Report.to_dict`."""
    plain = {
        "format": 1,
        "name": report.name,
        "kind": report.kind,
        "state": report.state,
        "meaning": report.meaning,
        "method": report.method,
        "words": dict(report.words),
        "step": report.step,
        "totals": _totals(report),
        "weights": [_weight(report, count) for count in report.counts.weights],
        "bytes": _bytes(report),
        "flops": _flops(report),
        "latency": _latency(report),
        "accelerated": [dict(row) for row in report.accelerated],
        "training": report.training.plain() if report.training else None,
        "scores": {who: dict(numbers) for who, numbers in report.scores.items()},
        "history": [dict(record) for record in report.history],
        "absent": dict(report.absent),
    }
    return {key: finite(value) for key, value in plain.items()}


def finite(value: Any) -> Any:  # noqa: ANN401 - any plain data
    """``value`` with None for each number that JSON cannot say, and lists for tuples."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def _totals(report: Report) -> dict[str, Any]:
    counts = report.counts
    return {
        "size": counts.size,
        "kept": counts.kept,
        "nonzero": counts.nonzero,
        "sparsity": counts.sparsity,
        "parameters": counts.parameters,
        "parameters_nonzero": counts.parameters_nonzero,
        "parameters_sparsity": counts.parameters_sparsity,
    }


def _weight(report: Report, count: Count) -> dict[str, Any]:
    name = count.name
    parts = {
        "bytes": report.sizes.weights.get(name),
        "flops": report.flops.weights.get(name) if report.flops else None,
        "dead": report.dead.get(name),
        "histogram": report.histograms.get(name),
    }
    return {
        "name": name,
        "names": count.aliases,
        "shape": count.shape,
        "size": count.size,
        "kept": count.kept,
        "nonzero": count.nonzero,
        "sparsity": count.sparsity,
        "pattern": count.pattern,
        "target": count.target,
        "storage": report.storage[name].plain() if name in report.storage else None,
        **{key: asdict(part) if part is not None else None for key, part in parts.items()},
    }


def _bytes(report: Report) -> dict[str, Any]:
    forms = ("dense", "bitmask", "delta", "csr", "coo", "smallest")
    return {
        **{form: report.sizes.total(form) for form in forms},
        "rest": report.sizes.rest,
        "file": report.file_bytes,
        "reference": report.dense_bytes,
    }


def _flops(report: Report) -> dict[str, Any] | None:
    if report.flops is None:
        return None
    return {
        "dense": report.flops.dense,
        "effective": report.flops.effective,
        "other": report.flops.other,
        "batch": report.flops.batch,
        "not_counted": report.flops.not_counted,
    }


def _latency(report: Report) -> dict[str, Any] | None:
    if not report.latency:
        return None
    plain: dict[str, Any] = {who: _timed(found) for who, found in report.latency.items()}
    slower = report.latency.get("dense", report.latency["this"])
    pairs = {"times_as_fast": "this", "fast_times_as_fast": "fast"}
    for key, who in pairs.items():
        if who in report.latency and (who == "fast" or "dense" in report.latency):
            lower, median, upper = report.latency[who].times_as_fast(slower)
            plain[key] = {"lower": lower, "median": median, "upper": upper}
    return plain


def _timed(found: Latency) -> dict[str, Any]:
    lower, upper = found.quartiles
    return {
        "median": found.median,
        "lower": lower,
        "upper": upper,
        "rounds": len(found.times),
        "threads": found.threads,
        "batch": found.batch,
    }
