"""``rarefy bench``: sparse kernels against torch and every installed runtime, on this machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rarefy.cli._output import AsJson, drawn, progress, say, say_json
from rarefy.errors import BudgetError
from rarefy.lab import speed

EXAMPLE = "Example: [bold]rarefy bench --shape 768x768 --tokens 128 --sparsity 0,0.9[/bold]"

_QUICK: dict[str, Any] = {
    "shapes": ("768x768",),
    "tokens": (1, 128),
    "sparsities": (0.0, 0.9),
    "seconds": 0.2,
    "rounds": 3,
}

Out = Annotated[
    Path | None, typer.Option(help="Folder for bench.json and bench.html, the roofline.")
]
Skewed = Annotated[
    bool, typer.Option("--skewed", help="Rows and columns of unequal density, as trained.")
]
Quick = Annotated[bool, typer.Option("--quick", help="One layer, little time: to see it work.")]


def bench(
    shape: Annotated[
        list[str] | None,
        typer.Option(help="As 768x3072, or 64x64x3x3@56 for a convolution; may be repeated."),
    ] = None,
    tokens: Annotated[str | None, typer.Option(help="Rows of a Linear's input, as 1,128.")] = None,
    images: Annotated[str | None, typer.Option(help="Pictures of a convolution's input.")] = None,
    sparsity: Annotated[
        str | None, typer.Option(help="Shares removed, as 0,0.9; at 0 nothing is removed.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of each runtime.")] = 1,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or int8.")] = "float32",
    runtime: Annotated[
        list[str] | None, typer.Option(help="Only against this one; may be repeated.")
    ] = None,
    skewed: Skewed = False,
    quick: Quick = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Time single layers: our kernels, torch, and other runtimes where they are installed.

    Each runtime has a process of its own and they take turns; outputs are compared with torch's.

    It tells medians with quartiles, the share of the FMA peak measured here, and bytes.
    """
    asked: dict[str, Any] = {
        "shapes": shape,
        "tokens": _numbers(tokens, int, "--tokens"),
        "images": _numbers(images, int, "--images"),
        "sparsities": _numbers(sparsity, float, "--sparsity"),
    }
    words = (_QUICK if quick else {}) | {word: said for word, said in asked.items() if said}
    with progress("starting a process for each runtime") as watch:
        found = speed.bench(
            **words,
            threads=threads,
            precision=precision,
            runtimes=runtime,
            skewed=skewed,
            watch=watch,
        )
    if out is not None:
        found.write(out)
    if as_json:
        say_json(found.to_dict())
        return
    table = found.table()
    say(drawn(table.columns, table.rows, words=("on",)), *found.notes())
    if out is not None:
        say(f"\nPage:   {out / 'bench.html'}")


def _numbers(text: str | None, kind: type[int] | type[float], option: str) -> list[Any]:
    """``1,128`` as numbers; nothing where nothing was said."""
    if text is None:
        return []
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise BudgetError(
            f"{option} takes numbers with commas between, as in {option} "
            f"{'1,128' if kind is int else '0,0.9'}; found {text!r}."
        ) from None
