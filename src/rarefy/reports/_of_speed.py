"""The page of a benchmark: the roofline, and how many times as fast as each other runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from rarefy.reports import _charts, _page, _sections
from rarefy.reports import _numbers as show
from rarefy.reports._rows import Rows

if TYPE_CHECKING:
    from os import PathLike

_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "pentagon")


def speed_page(
    found: Mapping[str, Any], path: str | PathLike[str], *, title: str = "rarefy bench"
) -> None:
    """Writes one self-contained page of what a benchmark of layers found.

    Args:
        found: As ``rarefy.lab.speed.Benchmark.to_dict`` gives it, or read back from JSON.
        path: File to write; replaced as a whole, or not at all.
        title: Heading of the page.

    Raises:
        MissingExtra: The plotting library is not installed.
    """
    notes = "".join(f"<p>{escape(note)}</p>" for note in found["notes"])
    parts = [
        f"<section>{notes}</section>",
        f"<section><h2>Roofline</h2>{_roofline(found['rows'])}</section>",
        f"<section><h2>Every layer</h2>{_sections.table(_rows(found['rows']))}</section>",
    ]
    _page.write(path, _page.shell(title, "".join(parts)))


def _roofline(rows: Iterable[Mapping[str, Any]]) -> str:
    """Share of the measured peak against FLOPs a byte, ours by sparsity and the best dense one."""
    points: dict[str, list[tuple[float, float, str]]] = {}
    for row in rows:
        where = f"{row['work']}, {row['count']} {row['counted']}"
        _add(points, f"rarefy, {row['sparsity']:.0%}", row["ours"], row, where)
        best = row["best_dense"]
        if best:
            _add(points, "best dense runtime", row["others"][best], row, f"{where}: {best}")
    if not points:
        return (
            "<p>The FMA peak of this machine is not known, or nothing of ours was timed: there is "
            "nothing to draw. The notes above say why.</p>"
        )
    traces = [_trace(place, name, spots) for place, (name, spots) in enumerate(points.items())]
    return _charts.chart(
        "share of the measured FMA peak, on the nonzeros",
        "Share of the FMA peak that each layer reaches, against the floating-point operations it "
        "does for each byte of weights, input and output",
        traces,
        height=460,
        xaxis={"title": {"text": "FLOPs on the nonzeros, a byte moved"}, "type": "log"},
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        showlegend=True,
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 1,
                "y1": 1,
                "line": {"color": "@ink", "width": 1, "dash": "dot"},
            }
        ],
    )


def _add(
    points: dict[str, list[tuple[float, float, str]]],
    name: str,
    timed: Mapping[str, Any],
    row: Mapping[str, Any],
    where: str,
) -> None:
    share = timed.get("share_of_peak")
    if share is None:
        return
    spot = (
        timed["flops"] / (row["bytes_moved"] + (timed["bytes"] or timed["dense_bytes"])),
        share,
        where,
    )
    spots = points.setdefault(name, [])
    if spot not in spots:  # a dense runtime has one time for all sparsities of a layer
        spots.append(spot)


def _trace(place: int, name: str, spots: list[tuple[float, float, str]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),  # plotly reads tags in names
        "x": [at for at, _, _ in spots],
        "y": [share for _, share, _ in spots],
        "text": [escape(where) for _, _, where in spots],
        "marker": {
            "color": f"@{place % _charts.COLOURS}",
            "size": 9,
            "symbol": _SYMBOLS[place % len(_SYMBOLS)],
        },
        "hovertemplate": "%{text}: %{y:.0%} of the peak<extra>%{fullData.name}</extra>",
    }


def _rows(rows: Iterable[Mapping[str, Any]]) -> Rows:
    found = list(rows)
    others = list(found[0]["others"]) if found else []
    columns = ("layer", "rows", "sparsity", "rarefy", "quartiles", "of peak", "weights")
    cells = tuple(
        (
            row["work"],
            f"{row['count']} {row['counted']}",
            show.percent(row["sparsity"], 0),
            *_ours(row),
            *(_times(row["times"][name], name == row["best_dense"]) for name in others),
        )
        for row in found
    )
    names = tuple(f"{show.TIMES} {name}" for name in others)
    return Rows((*columns, *names), cells, (True, True, *[False] * (5 + len(others))))


def _ours(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    ours = row["ours"]
    if "refused" in ours:
        return (show.NOTHING,) * 4
    share, size = ours["share_of_peak"], ours["bytes"]
    return (
        show.duration(ours["median"]),
        f"{show.duration(ours['lower'])} to {show.duration(ours['upper'])}",
        show.NOTHING if share is None else show.percent(share, 0),
        show.NOTHING if size is None else show.size(size),
    )


def _times(times: float | None, best: bool) -> str:
    if times is None:
        return show.NOTHING
    return f"{times:.2f}{' (best dense)' if best else ''}"
