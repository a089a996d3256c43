"""A small table of words, set as plain text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; the first column is set left, numbers are set right.

    >>> print(Table(("method", "kept"), (("rigl", "90"),)))
    method  kept
    rigl      90
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
