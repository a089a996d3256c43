"""``rarefy report``: what a file or a run is, on the terminal and as a page."""

from pathlib import Path
from typing import Annotated

import typer

from rarefy import reports
from rarefy.cli._output import AsJson, progress, say, say_json

EXAMPLE = "Example: [bold]rarefy report runs/digits-rigl-0.9-seed0 --html report.html[/bold]"


def report(
    path: Annotated[
        Path, typer.Argument(metavar="FILE|RUN", help="A safetensors file, or a run's folder.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write the page with the pictures here.")] = (
        None
    ),
    as_json: AsJson = False,
) -> None:
    """Report on a file, or on the folder that rarefy train or rarefy demo wrote."""
    with progress(f"reading {path}"):
        found = reports.report(path)
        if html is not None:
            found.html(html)
    if as_json:
        say_json(found.to_dict() | ({} if html is None else {"page": str(html)}))
        return
    say(found.table())
    if html is not None:
        say(f"Page: {html}")
