"""A report as a table of the rich library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from rarefy.reports._rows import Rows, headline, layers
from rarefy.reports._storage import Storage, storage_rows

if TYPE_CHECKING:
    from rich.table import Table

    from rarefy.reports._report import Report

_LEAST_FIRST = (
    *("state", "of dense", "pattern", "smallest as", "shape", "elements", "nonzero"),
    *("as n:m", "as COO", "as BSR", "in the file", "as packed", "least possible", "as CSR"),
)
"""Columns that a narrow terminal does without, in this order."""


def table(report: Report) -> Table:
    """The headline in a grid, the weights below it."""
    from rich.table import Table
    from rich.text import Text

    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column()
    for word, what in headline(report):
        lines.add_row(Text(word), Text(what))
    grid = Table.grid(padding=(0, 0, 1, 0))
    grid.add_row(Text(f"{report.name} ({report.kind})", style="bold cyan"))
    grid.add_row(lines)
    grid.add_row(rows(layers(report)))
    if report.storage:
        grid.add_row(storage_table(report.storage))
    return grid


def storage_table(weights: Mapping[str, Storage], width: int | None = None) -> Table:
    """One row a weight of a file: its bytes in every format, the smallest, the next break-even.

    Args:
        weights: Name to how it is stored and could be.
        width: Letters in a line, the terminal's by default.
    """
    return rows(storage_rows(weights), width)


def rows(table: Rows, width: int | None = None) -> Table:
    """The rows themselves. Names are shown as they are: rich reads no markup in them.

    Args:
        table: What is shown.
        width: Letters in a line, the terminal's by default. Columns that do not fit are left out,
            those that tell least first; ``print(report)`` has them all.
    """
    from rich import get_console
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = _fitting(table, width or get_console().width)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place in shown:
        side: Literal["left", "right"] = "left" if table.left[place] else "right"
        drawn.add_column(Text(table.columns[place]), justify=side, overflow="fold")
    for cells in table.rows:
        drawn.add_row(*(Text(cells[place]) for place in shown))
    return drawn


def _fitting(table: Rows, width: int) -> list[int]:
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows, strict=True)]
    shown = list(range(len(widths)))
    for word in _LEAST_FIRST:
        if sum(widths[place] + 3 for place in shown) <= width:
            break
        shown = [place for place in shown if table.columns[place] != word]
    return shown
