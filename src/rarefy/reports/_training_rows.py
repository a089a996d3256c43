"""Tables and charts of what training holds and costs."""

from __future__ import annotations

from rarefy.metrics import Metered
from rarefy.reports import _charts
from rarefy.reports import _numbers as show
from rarefy.reports._rows import Rows
from rarefy.reports._training import Training


def byte_rows(training: Training) -> Rows:
    """Bytes by what they are of, beside the dense ones."""
    held = training.bytes
    parts = (
        ("weights", held.weights, held.dense_weights),
        ("topology" if training.storage == "compressed" else "masks", held.topology, 0),
        ("gradients", held.gradients, held.dense_gradients),
        ("optimizer state", held.state, held.dense_state),
        ("together", held.total, held.dense),
    )
    rows = tuple((word, show.size(now), show.size(dense)) for word, now, dense in parts)
    return Rows(("in training", "held", "dense"), rows, (True, False, False))


def time_rows(found: Metered) -> Rows:
    """Seconds by part of a step."""
    spreads = {"whole step": found.whole, **found.parts}
    if found.updates is not None:
        spreads["topology update, where there is one"] = found.updates
    rows = tuple(
        (word, show.duration(middle), f"{show.duration(low)} to {show.duration(high)}")
        for word, (low, middle, high) in spreads.items()
    )
    return Rows(("part of a step", "median", "quartiles"), rows, (True, False, False))


def charts(training: Training) -> str:
    """FLOPs along the schedule, and time by part along it."""
    drawn = []
    if len(training.flops) > 1:
        history = [{"step": step, "FLOPs": multiple} for step, multiple in training.flops]
        title = "FLOPs so far, in multiples of dense"
        if training.storage == "masked":
            title += " (simulated)"
        drawn.append(_charts.curve(title, "FLOPs", {title: history}))
    found = training.metered
    if found is not None and len(found.curve) > 1:
        runs = {
            part: [{"step": w["step"], "ms": 1e3 * w[part]} for w in found.curve]
            for part in found.curve[0]
            if part != "step" and any(window[part] for window in found.curve)
        }
        drawn.append(_charts.curve("milliseconds a step, by part", "ms", runs))
    return "".join(drawn)
