"""A report as a small piece of HTML for a notebook: no script, no picture."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rarefy.reports._rows import Rows, headline, layers
from rarefy.reports._storage import storage_rows

if TYPE_CHECKING:
    from rarefy.reports._report import Report


def html(report: Report) -> str:
    """The headline and one row a weight, in the notebook's own style."""
    lines = "".join(
        f'<tr><th style="text-align:left">{escape(word)}</th>'
        f'<td style="text-align:left">{escape(what)}</td></tr>'
        for word, what in headline(report)
    )
    return (
        f"<div><p><strong>{escape(report.name)}</strong> ({escape(report.kind)})</p>"
        f"<table>{lines}</table>{small(layers(report))}"
        + (small(storage_rows(report.storage)) if report.storage else "")
        + "</div>"
    )


def small(table: Rows) -> str:
    """A plain HTML table."""
    sides = ["left" if left else "right" for left in table.left]
    return (
        f"<table><thead>{_row('th', table.columns, sides)}</thead>"
        f"<tbody>{''.join(_row('td', cells, sides) for cells in table.rows)}</tbody></table>"
    )


def _row(tag: str, cells: tuple[str, ...], sides: list[str]) -> str:
    return (
        "<tr>"
        + "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        + "</tr>"
    )
