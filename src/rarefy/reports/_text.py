"""A report as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rarefy.reports._rows import Rows, headline, layers
from rarefy.reports._storage import storage_rows

if TYPE_CHECKING:
    from rarefy.reports._report import Report


def text(report: Report) -> str:
    """The headline, one row a weight and, of a file, another with its bytes in every format."""
    lines = headline(report)
    wide = max(len(word) for word, _ in lines)
    head = [f"{report.name} ({report.kind})", ""]
    head += [f"{word.ljust(wide)}  {what}" for word, what in lines]
    tables = [plain(layers(report))]
    if report.storage:
        tables.append(plain(storage_rows(report.storage)))
    return "\n".join([*head, "", "\n\n".join(tables)])


def plain(table: Rows) -> str:
    """Columns set with blanks, words to the left and numbers to the right."""
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows, strict=True)]
    lines = [table.columns, tuple("─" * width for width in widths), *table.rows]
    return "\n".join(_line(cells, widths, table.left) for cells in lines)


def _line(cells: tuple[str, ...], widths: list[int], left: tuple[bool, ...]) -> str:
    set_ = [
        cell.ljust(width) if words else cell.rjust(width)
        for cell, width, words in zip(cells, widths, left, strict=True)
    ]
    return "  ".join(set_).rstrip()
