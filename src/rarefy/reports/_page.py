"""One self-contained HTML page: style, scripts and pictures are inside it."""

from __future__ import annotations

from html import escape
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from rarefy.files import replacing
from rarefy.reports._charts import library
from rarefy.reports._masks import shown_exactly
from rarefy.reports._sections import body

if TYPE_CHECKING:
    from rarefy.reports._report import Report

EXACT = 50_000_000
"""Weights that a page holds one by one unless told otherwise: at most some 8 MB of page."""

_DIALOG = """
<dialog id="closer" aria-labelledby="closer-name">
<div class="bar-top"><strong id="closer-name"></strong><output id="closer-place"></output>
<label>size of a weight <input id="closer-zoom" type="range" min="-3" max="5" step="0.05"></label>
<button type="button" id="closer-fit">fit</button>
<button type="button" id="closer-close">close</button></div>
<div id="closer-view" tabindex="0"><img id="closer-image" alt=""></div>
</dialog>
"""


def page(report: Report, *, exact: int = EXACT) -> str:
    """The page of one report."""
    chosen = {name for _, name in shown_exactly({"": report}, exact)}
    kind = {"model": "model", "file": "file", "run": "run"}[report.kind]
    return shell(f"{report.name}: {report.state} {kind}", body(report, chosen))


def shell(title: str, content: str) -> str:
    """A whole document around ``content``.

    Raises:
        MissingExtra: The plotting library is not installed.
    """
    scripts = library()
    here = resources.files("rarefy.reports")
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    behaviour = here.joinpath("page.js").read_text(encoding="utf-8")
    # Nothing may be loaded from anywhere: the browser itself holds the page to that.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)} · rarefy</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><p>rarefy report</p><h1>{escape(title)}</h1></header>\n<main>{content}</main>\n"
        f"{_DIALOG}<script>{scripts}</script>\n<script>\n{behaviour}</script>\n</body>\n</html>\n"
    )


def write(path: str | PathLike[str], text: str) -> None:
    """Write ``text`` to ``path``, as a whole or not at all.

    Raises:
        FileError: The folder does not exist or cannot be written.
    """
    with replacing(Path(path)) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="\n")
