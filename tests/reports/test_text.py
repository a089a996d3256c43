"""Plain text, column by column."""

from rarefy.reports._rows import Rows
from rarefy.reports._text import plain


def test_words_left_numbers_right():
    table = Rows(("name", "n"), (("a", "1"), ("longer", "23")), (True, False))
    assert plain(table).splitlines() == [
        "name     n",
        "──────  ──",
        "a        1",
        "longer  23",
    ]


def test_print_shows_the_headline_and_each_weight(full):
    lines = str(full).splitlines()
    assert lines[0] == "Sequential (model)"
    assert any(line.startswith("state        masked") or "masked: " in line for line in lines)
    assert [line.split()[0] for line in lines[-2:]] == ["0.weight", "2.weight"]
