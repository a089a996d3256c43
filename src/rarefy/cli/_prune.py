"""``rarefy prune``: any safetensors file or folder, made sparse without the model's code."""

from pathlib import Path
from typing import Annotated

import typer

from rarefy.cli._output import AsJson, drawn, progress, say, say_json
from rarefy.cli._words import allocation_of, sparsity_of
from rarefy.files import Pruned, prune_file

EXAMPLE = (
    "Examples: [bold]rarefy prune model.safetensors 0.9 sparse.safetensors[/bold]\n\n"
    "[bold]rarefy prune model/ 2:4 sparse/ --skip '*head*'[/bold]"
)


def prune(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file, or a folder of them.")],
    sparsity: Annotated[str, typer.Argument(help="Share removed, as 0.9, or a pattern, as 2:4.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="Where the result goes.")],
    score: Annotated[str, typer.Option(help="Ranks weights: magnitude or random.")] = "magnitude",
    pattern: Annotated[
        str | None, typer.Option(help="What lives or dies as one: row, column, 'block 4x1', 2:4.")
    ] = None,
    allocation: Annotated[
        list[str] | None,
        typer.Option(help="How much per weight: a name, or REGEX=SPARSITY, repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Weights to take, names or globs, repeatable.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="Weights to leave out, names or globs, repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For scores that draw numbers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Prune a safetensors file now: remove the weights that score lowest, and store the rest."""
    with progress(f"pruning {source}"):
        found = prune_file(
            source,
            sparsity_of(sparsity),
            destination,
            score=score,
            pattern=pattern,
            allocation=allocation_of(allocation or []) or "global",
            only=only or None,
            skip=skip or None,
            seed=seed,
        )
    if as_json:
        say_json(_as_dict(found))
        return
    say(
        drawn(
            ("weight", "shape", "kept", "of", "sparsity", "stored as"),
            (
                (
                    name,
                    " x ".join(map(str, record.shape)),
                    f"{record.kept:,}",
                    f"{record.size:,}",
                    f"{1 - record.kept / record.size:.2%}",
                    record.format,
                )
                for name, record in found.weights.items()
            ),
            words=("shape", "stored as"),
        ),
        f"{found.kept:,} of {found.size:,} weights kept, {found.sparsity:.2%} sparsity; "
        f"{len(found.left_alone)} other tensors left alone.",
        f"{found.bytes_before:,} bytes before, {found.bytes_after:,} after "
        f"({found.bytes_after / found.bytes_before:.1%}): {found.destination}",
    )


def _as_dict(found: Pruned) -> dict[str, object]:
    return {
        "destination": str(found.destination),
        "size": found.size,
        "kept": found.kept,
        "sparsity": found.sparsity,
        "bytes_before": found.bytes_before,
        "bytes_after": found.bytes_after,
        "weights": {
            name: {
                "shape": list(record.shape),
                "dtype": record.dtype,
                "size": record.size,
                "kept": record.kept,
                "nonzero": record.nonzero,
                "format": record.format,
            }
            for name, record in found.weights.items()
        },
        "left_alone": list(found.left_alone),
    }
