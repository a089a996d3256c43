"""What commands say."""

import json

import pytest
import typer
from rich.console import Console

from rarefy.cli._output import complain, drawn, pairs, progress, quiet_stdout, say, say_json


def test_json_refuses_what_it_has_no_word_for(capsys):
    say_json({"a": [1, "ä", None]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, "ä", None]}
    with pytest.raises(ValueError, match="JSON"):
        say_json({"a": float("nan")})


def test_text_is_shown_as_it_is(capsys):
    say("a [bold]b[/bold] :smile:")
    assert capsys.readouterr().out == "a [bold]b[/bold] :smile:\n"


def test_complaints_go_to_stderr(capsys):
    complain("no")
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", "rarefy: no\n")


def test_tables_show_names_as_they_are():
    console = Console(width=60)
    with console.capture() as caught:
        console.print(drawn(("name", "kept"), [("[red]x[/red]", "12")]))
        console.print(pairs([("word", "[b]what[/b]")]))
    assert "[red]x[/red]" in caught.get()
    assert "[b]what[/b]" in caught.get()


def test_no_bar_where_stderr_is_no_terminal(capsys):
    with progress("working") as watch:
        watch("more", 1, 2)
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", "")


def test_prints_go_to_stderr_where_asked(capsys):
    with quiet_stdout(quiet=True):
        typer.echo("noise")
    with quiet_stdout(quiet=False):
        typer.echo("sound")
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("sound\n", "noise\n")
