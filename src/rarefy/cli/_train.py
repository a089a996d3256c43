"""``rarefy train``: a built-in task or your own training function, made sparse on the way."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rarefy import lab
from rarefy.cli._output import AsJson, pairs, progress, quiet_stdout, say, say_json
from rarefy.cli._own import own_setup
from rarefy.cli._words import Storage, settings_of, sparsity_of
from rarefy.errors import FileError
from rarefy.reports import training_lines

EXAMPLE = (
    "Examples: [bold]rarefy train digits rigl 0.9 --out runs/rigl[/bold]\n\n"
    "[bold]rarefy train digits dense[/bold]\n\n"
    "[bold]rarefy train fashion rigl 0.9 --storage compressed[/bold]\n\n"
    "[bold]rarefy train --model mine:build --train mine:train --evaluate mine:evaluate "
    "gmp 0.9[/bold]"
)


def train(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[TASK] METHOD SPARSITY",
            help="TASK is digits or fashion, and is left out with --model. METHOD is a name from "
            "rarefy methods, or dense, which takes no SPARSITY.",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="package.module:function, which builds the model.")
    ] = None,
    train_: Annotated[
        str | None,
        typer.Option(
            "--train",
            help="package.module:function, called as train(model, attach, start=0); it makes its "
            "optimizer and calls attach(optimizer, steps=n) before its loop.",
        ),
    ] = None,
    evaluate: Annotated[
        str | None, typer.Option(help="package.module:function of the model, giving its score.")
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(help="package.module:function giving batches, for scores that need data."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data of a TASK.")] = None,
    seed: Annotated[int, typer.Option(help="For weights, data order and all that is drawn.")] = 0,
    storage: Storage = "masked",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="WORD=VALUE",
            help="score, growth, allocation, pattern, when or minimum; repeatable, and so is "
            "allocation=REGEX=SPARSITY.",
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Weights to take; repeatable.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Weights to leave out; repeatable.")] = (
        None
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; by default one in runs/.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in that folder was stopped.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder with the TASK's data.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Let torchvision fetch the data if they are nowhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one network, sparse by one method; record it and save it small.

    A run that was stopped goes on with --resume, and ends as if it had not been.
    """
    words: dict[str, Any] = settings_of(set_ or [])
    words |= {word: names for word, names in (("only", only), ("skip", skip)) if names}
    own = {"model": model, "train": train_, "evaluate": evaluate, "batches": batches}
    _refuse_mixed(own, epochs, data, download=download)
    with quiet_stdout(quiet=as_json):
        if model is not None:
            method, sparsity = _method_and_sparsity(what)
            setup = own_setup(own, method, sparsity, seed=seed, words=words, storage=storage)
        else:
            method, sparsity = _method_and_sparsity(what[1:])
            task = lab.task_named(what[0], path=data, download=download)
            setup = lab.setup_of(
                task, method, sparsity, seed=seed, epochs=epochs, words=words, storage=storage
            )
        folder = lab.RunFolder(out or Path("runs") / _name(setup))
        outcome = _carried_out(setup, folder, resume=resume)
    _tell(outcome, folder, as_json=as_json)


def _carried_out(setup: lab.Setup, folder: lab.RunFolder, *, resume: bool) -> lab.Outcome:
    _refuse_used(folder, resume=resume)
    try:
        with progress(f"{setup.task} {setup.method}") as watch:
            told = partial(watch, f"{setup.task} {setup.method}")
            outcome = lab.run(
                setup, checkpoint=folder.checkpoint, resume=resume, watch=told, metered=True
            )
    except KeyboardInterrupt:
        if folder.checkpoint.exists():
            typer.echo(
                f"Stopped. Go on with the same command and --resume: {folder.path}", err=True
            )
        raise
    folder.write(outcome)
    return outcome


def _method_and_sparsity(what: list[str]) -> tuple[str, float | str]:
    if what[:1] == ["dense"] and len(what) == 1:
        return "dense", 0.0
    if len(what) != 2:
        raise typer.BadParameter(
            "wanted TASK METHOD SPARSITY, as in: rarefy train digits rigl 0.9; with --model: "
            f"METHOD SPARSITY. Found {len(what)} word{'' if len(what) == 1 else 's'} for METHOD "
            "and SPARSITY."
        )
    return what[0], sparsity_of(what[1])


def _refuse_mixed(
    own: dict[str, str | None], epochs: int | None, data: Path | None, *, download: bool
) -> None:
    given = [f"--{word}" for word, value in own.items() if value is not None]
    if own["model"] is None or own["train"] is None:
        if given:
            raise typer.BadParameter(
                f"{' and '.join(given)}: your own run needs --model and --train, both."
            )
        return
    if epochs is not None or data is not None or download:
        raise typer.BadParameter(
            "--epochs, --data and --download are for a TASK; your own train() knows its data and "
            "its length."
        )


def _name(setup: lab.Setup) -> str:
    sparsity = "" if setup.method == "dense" else f"-{setup.sparsity}"
    return re.sub(r"[^\w.-]+", "_", f"{setup.task}-{setup.method}{sparsity}-seed{setup.seed}")


def _refuse_used(folder: lab.RunFolder, *, resume: bool) -> None:
    if folder.record.exists():
        raise FileError(
            f"{folder.path} holds a run that has ended. See it with: rarefy report {folder.path}. "
            "Choose another folder with --out, or remove this one."
        )
    if folder.checkpoint.exists() and not resume:
        raise FileError(
            f"{folder.path} holds a run that was stopped. Go on with --resume, choose another "
            "folder with --out, or remove this one."
        )


def _tell(outcome: lab.Outcome, folder: lab.RunFolder, *, as_json: bool) -> None:
    size = folder.weights.stat().st_size
    dense = sum(tensor.nbytes for tensor in outcome.sparsifier.dense_state_dict().values())
    if as_json:
        content = lab.about(outcome)
        content["folder"] = str(folder.path)
        content["bytes"] = size
        content["bytes_dense"] = dense
        say_json(content)
        return
    setup, masks = outcome.setup, outcome.sparsifier.masks
    score = ", ".join(f"{name} {number:.4g}" for name, number in outcome.score.items())
    say(
        pairs(
            [
                ("run", f"{setup.task}, {setup.method}, seed {setup.seed}"),
                ("score", score or "none: give --evaluate"),
                (
                    "weights",
                    f"{masks.kept:,} of {masks.size:,} kept, {masks.sparsity:.2%} sparsity",
                ),
                *(training_lines(outcome.training) if outcome.training else []),
                ("steps", f"{outcome.sparsifier.step:,}, {outcome.seconds:.1f} s"),
                ("file", f"{folder.weights}, {size:,} bytes; dense {dense:,} ({size / dense:.1%})"),
                ("next", f"rarefy report {folder.path} --html report.html"),
            ]
        )
    )
