"""The mask pictures of a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from html import escape
from typing import TYPE_CHECKING

from rarefy.reports import _numbers as show

if TYPE_CHECKING:
    from rarefy.reports._picture import Picture
    from rarefy.reports._report import Report


def shown_exactly(reports: Mapping[str, Report], most: int) -> set[tuple[str, str]]:
    """Which masks, as report and weight, the page holds one weight at a time.

    Args:
        reports: What goes on the page.
        most: Weights that may be held so, over all masks; smaller masks come first, so that as
            many as possible have their turn.
    """
    sizes = {
        (run, name): picture.rows * picture.columns
        for run, report in reports.items()
        for name, picture in report.pictures.items()
    }
    chosen: set[tuple[str, str]] = set()
    for key in sorted(sizes, key=sizes.__getitem__):
        most -= sizes[key]
        if most < 0:
            break
        chosen.add(key)
    return chosen


def pictures(report: Report, exact: Collection[str]) -> str:
    """One figure a mask; those in ``exact`` open for a closer look."""
    cards = [_card(name, drawn, name in exact) for name, drawn in report.pictures.items()]
    return f'<div class="masks">{"".join(cards)}</div>'


def _card(name: str, drawn: Picture, exact: bool) -> str:
    alt = f"Mask of {name}: {_shape(drawn)}, {show.percent(_density(drawn))} kept"
    averaged = uri(drawn.full() if drawn.exact else drawn.averaged())
    image = f'<img src="{averaged}" alt="{escape(alt)}" style="aspect-ratio:{drawn.aspect:.3f}">'
    if exact:
        full = "" if drawn.exact else f' data-full="{uri(drawn.full())}"'
        image = (
            f'<button type="button" class="zoom" data-name="{escape(name)}"'
            f' data-rows="{drawn.rows}" data-columns="{drawn.columns}"'
            f' data-kernel="{drawn.kernel}"{full}'
            f' title="Look closer: every weight of {escape(name)}">{image}</button>'
        )
    return (
        f'<figure class="mask">{image}<figcaption><strong>{escape(name)}</strong><br>'
        f"{escape(_caption(drawn, exact))}</figcaption></figure>"
    )


def _caption(drawn: Picture, exact: bool) -> str:
    text = f"{_shape(drawn)}, {show.percent(_density(drawn))} kept. "
    if drawn.exact:
        text += "One pixel is one weight."
    else:
        down = drawn.rows / drawn.average.shape[0]
        across = drawn.columns / drawn.average.shape[1]
        text += (
            f"One pixel is the mean of {down:.3g} {show.TIMES} {across:.3g} weights; "
            f"full ink is {show.percent(drawn.densest, 1)} kept."
        )
    if not exact:
        text += " Too large to hold every weight on this page: write it with html(path, exact=...)."
    return text


def _shape(drawn: Picture) -> str:
    inputs = drawn.columns // max(drawn.kernel, 1)
    text = f"{show.count(drawn.rows)} outputs {show.TIMES} {show.count(inputs)} inputs"
    return text if drawn.kernel == 1 else f"{text} {show.TIMES} {drawn.kernel} kernel positions"


def _density(drawn: Picture) -> float:
    return float(drawn.average.mean()) if drawn.average.size else 0.0


def uri(picture: bytes) -> str:
    """A PNG written into the page."""
    return "data:image/png;base64," + b64encode(picture).decode("ascii")
