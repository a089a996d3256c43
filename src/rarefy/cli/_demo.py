"""``rarefy demo``: a real network, dense and three ways sparse, with the numbers."""

from pathlib import Path
from typing import Annotated

import typer

from rarefy import lab
from rarefy.cli._output import AsJson, drawn, progress, say, say_json
from rarefy.cli._words import Storage

EXAMPLE = "Example: [bold]rarefy demo --task fashion --seeds 1 --out runs/fashion[/bold]"


def demo(
    task: Annotated[str, typer.Option(help="digits (embedded) or fashion (60,000 pictures).")] = (
        "digits"
    ),
    sparsity: Annotated[float, typer.Option(help="Share of the weights removed.")] = 0.9,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; else the task's.")] = (
        None
    ),
    storage: Storage = "masked",
    seeds: Annotated[int, typer.Option(help="Runs of each method, from different weights.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder for models, records and the page.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the task's data.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Let torchvision fetch the data if they are nowhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train dense, by GMP, by RigL and on a random mask; compare accuracy, bytes and FLOPs.

    All take the same steps on the same batches.

    Models, records and an HTML page go into a folder, by default runs/demo-TASK.
    """
    with progress("reading the data") as watch:
        chosen = lab.task_named(task, path=data, download=download)
        found = lab.demo(
            chosen,
            sparsity=sparsity,
            storage=storage,
            seeds=seeds,
            epochs=epochs,
            out=out,
            watch=watch,
        )
    if as_json:
        say_json(found.to_dict())
        return
    table = found.table()
    say(
        f"{chosen.name}: {chosen.description}",
        f"{found.sparsity:.0%} sparsity, {found.steps:,} steps a run, {found.seconds:.0f} s in all",
        drawn(table.columns, table.rows),
        *found.notes(),
        f"\nPage:   {found.page}",
        *(f"Model:  {found.weights(name)}" for name in found.accuracy),
        f"Next:   rarefy inspect {found.weights('rigl')}",
    )
