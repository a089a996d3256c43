"""The table for a terminal."""

from dataclasses import replace

import pytest
from rich.console import Console

from rarefy.reports._rich import rows
from rarefy.reports._rows import layers


def shown(renderable, width=160):
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_it_shows_what_print_shows(full):
    text = shown(full.table())
    assert "75.00 % sparsity" in text
    assert all(row[0] in text for row in layers(full).rows)


def test_names_are_no_markup(full):
    odd = replace(full.counts.weights[0], name="[red]x[/red]", aliases=("[red]x[/red]",))
    report = replace(full, counts=replace(full.counts, weights=(odd,)))
    assert "[red]x[/red]" in shown(rows(layers(report), 160))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_does_without_some_columns(full, width):
    text = shown(rows(layers(full), width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "sparsity" in text
    assert "bytes" in text
    assert all(row[0] in text for row in layers(full).rows)  # no cell is broken
