"""The parts of a report's page, one after another."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import TYPE_CHECKING

from rarefy.reports import _charts, _masks, _rows, _training_rows
from rarefy.reports import _numbers as show
from rarefy.reports._storage import storage_rows
from rarefy.reports._training import lines as training_lines

if TYPE_CHECKING:
    from rarefy.reports._report import Report


def body(report: Report, exact: Collection[str]) -> str:
    """Headline numbers and every section that there is something for.

    Args:
        report: What is shown.
        exact: Names of the masks that open for a closer look.
    """
    parts = [
        f'<p class="state"><b>{escape(report.state)}</b> {escape(report.meaning)}.</p>',
        f'<p class="method">{escape(_rows.method(report))}</p>' if report.method else "",
        tiles(report),
        _section("Layers", _layers(report)),
        _section("Bytes", _sizes(report)),
        _section("Storage", _storage_of(report)),
        _section("FLOPs", _flops(report)),
        _section("Latency", _latency(report)),
        _section("Score", _scores(report)),
        _section("Dead structure", _dead(report)),
        _section("Masks", _masks.pictures(report, exact) if report.pictures else ""),
        _section("Kept weights", _histograms(report)),
        _section("Training", _training(report)),
        _section("Not in this report", _absent(report)),
    ]
    return "".join(parts)


def tiles(report: Report) -> str:
    """The headline numbers, large."""
    counts, sizes = report.counts, report.sizes
    shown = [
        (show.percent(counts.sparsity), "sparsity", f"{show.count(counts.kept)} weights kept"),
        (
            show.size(sizes.total("smallest")),
            "smallest",
            f"dense {show.size(sizes.total('dense'))}",
        ),
    ]
    if report.flops and report.flops.dense:
        share = show.percent(report.flops.effective / report.flops.dense, 1)
        shown.append((share, "of the FLOPs", f"of {show.work(report.flops.dense)}"))
    if report.latency:
        dense = report.latency.get("dense")
        beside = f"dense {show.duration(dense.median)}" if dense else "measured here"
        shown.append((show.duration(report.latency["this"].median), "latency", beside))
        if "fast" in report.latency:
            fast = show.duration(report.latency["fast"].median)
            shown.append((fast, "accelerated", beside))
    for name, number in list(report.scores.get("this", {}).items())[:2]:
        reference = report.scores.get("dense", {}).get(name)
        beside = f"dense {show.value(reference)}" if reference is not None else ""
        shown.append((show.value(number), name, beside))
    return (
        '<div class="tiles">'
        + "".join(
            f"<div><strong>{escape(number)}</strong><span>{escape(word)}</span>"
            f"<small>{escape(beside)}</small></div>"
            for number, word, beside in shown
        )
        + "</div>"
    )


def table(rows: _rows.Rows, bars: dict[int, list[float]] | None = None) -> str:
    """An HTML table; ``bars`` are shares in [0, 1] drawn behind the cells of a column."""
    head = "".join(
        f'<th scope="col" class="{_side(left)}">{escape(word)}</th>'
        for word, left in zip(rows.columns, rows.left, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(_cell(cell, rows.left[c], _bar(bars, c, r)) for c, cell in enumerate(row))
        + "</tr>"
        for r, row in enumerate(rows.rows)
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _bar(bars: dict[int, list[float]] | None, column: int, row: int) -> float | None:
    return bars[column][row] if bars and column in bars else None


def _cell(text: str, left: bool, bar: float | None) -> str:
    if bar is None:
        return f'<td class="{_side(left)}">{escape(text)}</td>'
    return (
        f'<td class="bar"><span class="track"><i style="width:{100 * bar:.2f}%"></i></span>'
        f"<span>{escape(text)}</span></td>"
    )


def _side(left: bool) -> str:
    return "left" if left else "right"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _layers(report: Report) -> str:
    rows = _rows.layers(report)
    place = rows.columns.index("sparsity")
    shares = [count.sparsity for count in report.counts.weights]
    total = f"<p>{escape(_rows.weights(report))}. {escape(_rows.parameters(report))}.</p>"
    return total + table(rows, {place: shares})


def _sizes(report: Report) -> str:
    totals = {shown: report.sizes.total(form) for form, shown in _rows.FORMATS.items()}
    totals["smallest that a file holds, per weight"] = report.sizes.total("smallest")
    if report.file_bytes is not None:
        totals["file on disk"] = report.file_bytes
    if report.dense_bytes is not None:
        totals["dense reference"] = report.dense_bytes
    most = max(totals.values()) or 1
    rows = _rows.Rows(
        ("the weights as", "bytes of the whole model", "exactly"),
        tuple((word, show.size(size), show.count(size)) for word, size in totals.items()),
        (True, False, False),
    )
    note = (
        f"<p>Values and indices of every target, and {show.size(report.sizes.rest)} of everything "
        "else, which is stored dense in each of them. By formula; a file adds a header.</p>"
    )
    return table(rows, {1: [size / most for size in totals.values()]}) + note


def _storage_of(report: Report) -> str:
    if not report.storage:
        return ""
    return table(storage_rows(report.storage)) + (
        "<p>Exactly, for where the kept weights lie. A file holds dense, bitmask or delta. Least "
        "possible is the entropy of independent places, and the values. The next break-even is "
        "where another format becomes the smallest if more is removed in the same pattern.</p>"
    )


def _flops(report: Report) -> str:
    if report.flops is None:
        return ""
    missing = "".join(
        f"<li><b>{escape(name)}</b> is not counted: {escape(why)}</li>"
        for name, why in _rows.not_counted(report)
    )
    return (
        f"<p>{escape(_rows.flops(report))}. Effective FLOPs leave out products with a zero weight; "
        "a dense kernel computes them all the same. Per weight: see the layers.</p>"
        + (f"<ul>{missing}</ul>" if missing else "")
    )


def _latency(report: Report) -> str:
    if not report.latency:
        return ""
    names = {"this": "this model", "dense": "dense reference", "fast": "accelerated"}
    rows = _rows.Rows(
        ("model", "median", "quartiles"),
        tuple(
            (names[who], *_rows.spread(found).rstrip(")").split(" (", 1))
            for who, found in report.latency.items()
        ),
        (True, False, False),
    )
    note = f"<p>{escape(_rows.conditions(report.latency['this']))}"
    if "dense" in report.latency:
        lower, middle, upper = report.latency["this"].times_as_fast(report.latency["dense"])
        note += f"; {middle:.2f} times as fast as dense ({lower:.2f} to {upper:.2f}), in pairs"
    if report.state == "masked":
        note += ". A masked model runs on dense kernels: no gain is expected here"
    if "fast" in report.latency:
        note += f". Accelerated: {escape(_rows.accelerated(report))}"
    layers = table(_rows.kernels(report)) if report.accelerated else ""
    return table(rows) + note + ".</p>" + layers


def _scores(report: Report) -> str:
    if not report.scores:
        return ""
    dense = report.scores.get("dense", {})
    ours = report.scores.get("this", {})
    names = dict.fromkeys([*ours, *dense])
    rows = tuple(
        (name, *(show.value(who[name]) if name in who else show.NOTHING for who in (ours, dense)))
        for name in names
    )
    if not dense:
        return table(_rows.Rows(("score", "this model"), tuple(r[:2] for r in rows), (True, False)))
    return table(_rows.Rows(("score", "this model", "dense reference"), rows, (True, False, False)))


def _dead(report: Report) -> str:
    found = {name: one for name, one in report.dead.items() if one.outputs or one.inputs}
    if not found:
        return "<p>Every output and every input of every weight has something kept.</p>"
    rows = tuple(
        (
            name,
            show.count(len(one.outputs)),
            show.count(len(one.inputs)),
            "collapsed: nothing passes" if one.collapsed else "alive",
        )
        for name, one in found.items()
    )
    return (
        "<p>Outputs without a kept weight give only their bias; inputs without one are not read. "
        "The other weights have none.</p>"
    ) + table(
        _rows.Rows(
            ("weight", "dead outputs", "unread inputs", "layer"), rows, (True, False, False, True)
        )
    )


def _histograms(report: Report) -> str:
    drawn = [_charts.histogram(name, found) for name, found in report.histograms.items()]
    charts = "".join(drawn)
    odd = [
        f"<li><b>{escape(name)}</b>: {show.count(found.not_finite)} values are not finite</li>"
        for name, found in report.histograms.items()
        if found.not_finite
    ]
    notes = f"<ul>{''.join(odd)}</ul>" if odd else ""
    return f'{notes}<div class="charts">{charts}</div>' if charts or notes else ""


def _training(report: Report) -> str:
    charts = "".join(_charts.curves({report.name: report.history}))
    found = report.training
    if found is None:
        return f'<div class="charts">{charts}</div>' if charts else ""
    label = f"<p>{escape(found.label)}.</p>"
    rest = "".join(f"<li>{word}: {escape(told)}</li>" for word, told in training_lines(found)[1:])
    times = table(_training_rows.time_rows(found.metered)) if found.metered else ""
    tables = table(_training_rows.byte_rows(found)) + times
    charts = _training_rows.charts(found) + charts
    return f'{label}<ul>{rest}</ul>{tables}<div class="charts">{charts}</div>'


def _absent(report: Report) -> str:
    lines = "".join(
        f"<li><b>{escape(what)}</b>: {escape(why)}</li>" for what, why in report.absent.items()
    )
    return f"<ul>{lines}</ul>" if lines else ""
