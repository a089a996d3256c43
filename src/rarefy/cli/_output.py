"""What commands say: JSON or tables on stdout, complaints and progress on stderr."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")
]

WIDTH = 120
"""Columns where the output is no terminal and so has no width."""


def version() -> str:
    """Of the installed package."""
    return metadata.version("rarefy")


def say_json(content: Any) -> None:  # noqa: ANN401 - plain data
    """One JSON document on stdout."""
    typer.echo(json.dumps(content, indent=2, allow_nan=False))


def say(*parts: Any) -> None:  # noqa: ANN401 - text, or what rich can draw
    """Text, shown as it is, and tables on stdout."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH, highlight=False)
    for part in parts:
        if isinstance(part, str):
            console.print(Text(part), soft_wrap=not terminal)
        else:
            console.print(part)


def complain(message: str) -> None:
    """One message on stderr."""
    typer.echo(f"rarefy: {message}", err=True)


def drawn(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[str] = ()
) -> Table:
    """A table: the first column and those named in ``words`` set left, the others right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        left = place == 0 or column in words
        table.add_column(Text(column), justify="left" if left else "right", overflow="fold")
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Words in bold, and what is to be said about each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for word, what in rows:
        grid.add_row(Text(word), Text(what))
    return grid


@contextlib.contextmanager
def progress(doing: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr, where that is a terminal; gone when the block ends.

    Yields:
        A function of what is being done, the steps so far, and the steps in all. Until it is
        called the bar shows that something is going on.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        refresh_per_second=5,
    )
    with bar:
        task = bar.add_task(doing, total=None)

        def watch(now: str, step: int, steps: int) -> None:
            bar.update(task, description=now, completed=step, total=steps)

        yield watch


@contextlib.contextmanager
def quiet_stdout(*, quiet: bool) -> Iterator[None]:
    """Whatever is printed inside goes to stderr, where ``quiet``."""
    with contextlib.redirect_stdout(sys.stderr) if quiet else contextlib.nullcontext():
        yield
