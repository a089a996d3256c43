"""What accelerating did and found, as plain data: the source of ``explain()`` and ``record``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rarefy import _native
from rarefy.acceleration._choose import Wish
from rarefy.acceleration._findings import Findings
from rarefy.acceleration._lean import LeanWeight
from rarefy.acceleration._share import Share
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._timings import machine
from rarefy.metrics import Example, batch_of, flops


def record_of(
    fast: nn.Module,
    model: nn.Module,
    example: Example,
    findings: Findings,
    times: Share,
    wish: Wish,
    margin: float,
    accuracy: Mapping[str, float] | None,
    slimmed: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """Everything in numbers, words and lists, ready for JSON."""
    return {
        "goal": wish.goal,
        "precision": wish.precision,
        "margin": margin,
        "threads": torch.get_num_threads(),
        "batch": batch_of(example),
        "machine": machine(),
        "kernels": _native.status(),
        "layers": [row.plain() for row in findings.layers.values()],
        "chains": [row.plain() for row in findings.chains],
        "captured": list(findings.captured),
        "uncaptured": list(findings.uncaptured),
        "leaves": list(findings.leaves),
        "notes": list(findings.notes),
        "time": _time(times),
        "flops": _flops(model, example, findings),
        "bytes": _bytes(fast, slimmed),
        "accuracy": None if accuracy is None else dict(accuracy),
    }


def _time(times: Share) -> dict[str, Any]:
    total = times.sparse + times.rest
    return {
        "dense": times.dense,
        "fast": times.fast,
        "sparse": times.sparse,
        "rest": times.rest,
        "share": times.sparse / total if total else 0.0,
        "adds_up_to": times.adds_up,
        "by": dict(times.by),
    }


def _flops(model: nn.Module, example: Example, findings: Findings) -> dict[str, Any]:
    counted = flops(model, example)
    kept = {row.name for row in findings.layers.values() if row.runs_sparse}
    sparse = sum(share.dense for name, share in counted.weights.items() if name in kept)
    skipped = sum(
        share.dense - share.effective for name, share in counted.weights.items() if name in kept
    )
    return {
        "dense": counted.dense,
        "sparse": sparse,
        "skipped": skipped,
        "share": sparse / counted.dense if counted.dense else 0.0,
        "not_counted": dict(counted.not_counted),
    }


def _bytes(fast: nn.Module, slimmed: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Of the parameters, of what was packed, and of the dense weights that went."""
    packed = sum(
        lane.packs.packed(module, number).numel()
        for module in fast.modules()
        if (lane := lane_of(module)) is not None
        for number in range(len(lane.packs.plans))
    )
    dense = [p for p in fast.parameters() if not isinstance(p, LeanWeight)]
    return {
        "parameters": sum(p.numel() * p.element_size() for p in dense),
        "packed": packed,
        "let_go": sum(before for before, _ in slimmed.values()),
    }
