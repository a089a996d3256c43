"""The command as a whole: help, exit codes, errors."""

import json

import pytest
import typer

import rarefy
from rarefy.cli import app
from rarefy.cli._output import version

COMMANDS = ["demo", "train", "prune", "inspect", "report", "methods", "bench", "doctor"]


def test_every_command_is_registered(rarefy_):
    assert [command.name for command in app.registered_commands] == COMMANDS
    shown = rarefy_("--help").stdout
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_with_an_example_and_knows_json(rarefy_, name):
    shown = rarefy_(name, "--help").stdout
    assert "Example" in shown
    assert "rarefy" in shown.split("Example")[1]
    assert "--json" in shown


def test_it_says_its_version(rarefy_):
    assert rarefy_("--version").stdout == f"rarefy {rarefy.__version__}\n"
    assert version() == rarefy.__version__


@pytest.mark.parametrize(
    "words", [["nothing"], ["train"], ["prune", "a"], ["demo", "--no"], ["demo", "--seeds", "x"]]
)
def test_a_wrong_command_line_ends_with_2(rarefy_, words):
    result = rarefy_(*words, code=2)
    assert result.stdout == ""
    assert "Usage" in result.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_refusal_is_one_message_on_stderr_and_ends_with_1(rarefy_, more):
    result = rarefy_("inspect", "absent.safetensors", *more, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("rarefy: absent.safetensors cannot be read")
    assert len(result.stderr.splitlines()) == 1


def test_a_bug_keeps_its_traceback(rarefy_, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("rarefy.cli._inspect.read", broken)
    with pytest.raises(ZeroDivisionError):
        rarefy_("inspect", "x")


def test_without_a_command_it_shows_the_help():
    with pytest.raises(SystemExit) as raised:
        app([], prog_name="rarefy")
    assert raised.value.code == 2
    assert isinstance(app, typer.Typer)


@pytest.mark.parametrize("name", ["doctor", "methods"])
def test_json_is_one_document(rarefy_, name):
    assert isinstance(json.loads(rarefy_(name, "--json").stdout), dict)
