"""Registers the commands, and turns the library's errors into one message and an exit code."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import rarefy.cli._bench as bench_
import rarefy.cli._demo as demo_
import rarefy.cli._doctor as doctor_
import rarefy.cli._inspect as inspect_
import rarefy.cli._methods as methods_
import rarefy.cli._prune as prune_
import rarefy.cli._report as report_
import rarefy.cli._train as train_
from rarefy.cli._output import complain, version
from rarefy.errors import RarefyError


class _Group(TyperGroup):
    """Ends with 1 and one message where the library refuses; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as its base class
        try:
            return super().invoke(ctx)
        except RarefyError as error:
            complain(str(error))
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    name="rarefy",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: [bold]rarefy demo[/bold]. Each command has --help with an example, and "
    "--json for machines. It ends with 0, with 1 and one message, or with 2 where the command "
    "line itself is wrong.",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rarefy {version()}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """Make networks sparse: prune, train sparse, save small, and see what it cost."""


app.command("demo", epilog=demo_.EXAMPLE)(demo_.demo)
app.command("train", epilog=train_.EXAMPLE)(train_.train)
app.command("prune", epilog=prune_.EXAMPLE)(prune_.prune)
app.command("inspect", epilog=inspect_.EXAMPLE)(inspect_.inspect)
app.command("report", epilog=report_.EXAMPLE)(report_.report)
app.command("methods", epilog=methods_.EXAMPLE)(methods_.methods)
app.command("bench", epilog=bench_.EXAMPLE)(bench_.bench)
app.command("doctor", epilog=doctor_.EXAMPLE)(doctor_.doctor)


def main() -> None:
    """Entry point of ``rarefy`` and ``python -m rarefy``."""
    app(prog_name="rarefy")
