"""Charts as data for the plotting library; the page gives them their colours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from rarefy.errors import MissingExtra
from rarefy.reports import _numbers as show
from rarefy.reports._as_dict import finite

if TYPE_CHECKING:
    from rarefy.reports._histogram import Histogram

COLOURS = 8
"""Colours that the page has; ``"@0"`` is the first of them."""

_NAMES = {"gradient_norm": "gradient norm"}


def library() -> str:
    """The plotting library's script, to be written into the page.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtra(
            "the page of a report draws its charts with plotly, which is not installed. "
            "Install it with: pip install 'rarefy[plot]'. print(report) and report.to_dict() "
            "work without it."
        ) from error
    return str(get_plotlyjs())


def chart(title: str, described: str, data: Sequence[Mapping[str, Any]], **layout: Any) -> str:  # noqa: ANN401 - plotly's own words
    """A figure with a place for one chart.

    Args:
        title: Shown above it.
        described: What it shows, for those who do not see it.
        data: Traces. A colour ``"@n"`` is the page's n-th.
        layout: Settings of axes and the like.
    """
    text = json.dumps(finite({"data": list(data), "layout": layout}), separators=(",", ":"))
    safe = text.replace("<", "\\u003c")  # or a name could end the script
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<div class="plot" role="img" aria-label="{escape(described)}">'
        f'<script type="application/json">{safe}</script></div></figure>'
    )


def histogram(name: str, found: Histogram) -> str:
    """The kept values of one weight."""
    if not found.counts:
        return ""
    width = (found.high - found.low) / len(found.counts)
    centres = [found.low + (place + 0.5) * width for place in range(len(found.counts))]
    bars = {
        "type": "bar",
        "x": [round_to(centre, width) for centre in centres],
        "y": list(found.counts),
        "width": width or 1.0,
        "marker": {"color": "@0"},
        "hovertemplate": "%{x:.3g}: %{y}<extra></extra>",
    }
    described = (
        f"Histogram of the {sum(found.counts):,} kept values of {name}, "
        f"from {found.low:.3g} to {found.high:.3g}"
    )
    return chart(name, described, [bars], bargap=0, height=180)


def round_to(value: float, width: float) -> float:
    """``value`` with no more digits than a bin of ``width`` can tell apart."""
    return float(f"{value:.6g}") if width else value


def curves(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """One chart for each number that was recorded, with a line for each run."""
    keys = {key: None for history in histories.values() for record in history for key in record}
    keys.pop("step", None)
    # One point, such as the sparsity of a model that never trained, is no curve.
    return [
        curve(_NAMES.get(key, key.replace("_", " ")), key, histories)
        for key in keys
        if any(sum(key in record for record in history) > 1 for history in histories.values())
    ]


def curve(title: str, key: str, histories: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """One number against steps, a line for each run.

    Args:
        title: Shown above it.
        key: The number's name in the records.
        histories: Run to records, each with ``step``.
    """
    lines: list[dict[str, Any]] = []
    for place, (run, history) in enumerate(histories.items()):
        points = [(record["step"], record[key]) for record in history if key in record]
        if points:
            lines.append(_line(run, place, points))
    described = f"{title} against optimizer steps" + (
        f", {len(lines)} runs" if len(histories) > 1 else ""
    )
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return chart(
        title,
        described,
        lines,
        height=250,
        showlegend=len(histories) > 1,
        legend=legend,
        xaxis={"title": {"text": "step"}, "rangemode": "tozero"},
        yaxis=_axis(key),
    )


def _axis(key: str) -> dict[str, Any]:
    # A sparsity or churn is a share; its axis starts at nothing, so that small moves look small.
    if key == "sparsity":
        return {"tickformat": ".0%", "range": [0, 1]}
    if key in ("FLOPs", "ms"):
        return {"rangemode": "tozero"}
    return {"tickformat": ".0%", "rangemode": "tozero"} if key == "churn" else {}


def _line(run: str, place: int, points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    dashes = ("solid", "dash", "dot", "dashdot")
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(points) <= 40 else "lines",
        "name": escape(run),  # plotly reads tags in names
        "x": [step for step, _ in points],
        "y": [value for _, value in points],
        "line": {
            "color": f"@{place % COLOURS}",
            "width": 2,
            "dash": dashes[place // COLOURS % len(dashes)],
        },
        "marker": {"size": 5},
        "hovertemplate": "step %{x}: %{y}<extra>%{fullData.name}</extra>",
    }


def bars(
    title: str,
    unit: str,
    values: Mapping[str, float],
    spreads: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """One bar a run, with whiskers where a spread is known.

    Args:
        title: What is compared.
        unit: Unit of the values, for the axis.
        values: Run to value.
        spreads: Run to lower and upper end of its whisker.
    """
    runs = list(values)
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": [escape(run) for run in runs],
        "x": list(values.values()),
        "marker": {"color": [f"@{place % COLOURS}" for place in range(len(runs))]},
        "text": [show.value(value) for value in values.values()],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{x:.4g} " + escape(unit) + "<extra></extra>",
    }
    if spreads:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [spreads[run][1] - values[run] for run in runs],
            "arrayminus": [values[run] - spreads[run][0] for run in runs],
            "color": "@ink",
            "thickness": 1.2,
        }
    described = (
        title + ": " + ", ".join(f"{run} {value:.4g} {unit}" for run, value in values.items())
    )
    return chart(
        title,
        described,
        [trace],
        height=90 + 30 * len(runs),
        xaxis={"title": {"text": escape(unit)}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "automargin": True},
    )
