"""Assumptions on sizes: read by a small grammar, and nothing outside it is ever run."""

import copy
import pickle

import pytest

from rarefy.acceleration._conditions import Unreadable, condition, conditions


@pytest.mark.parametrize(
    ("text", "sizes", "wanted"),
    [
        ("L['x'].size()[1] == L['m'].size()[1]", {"x": (1, 5), "m": (2, 5)}, True),
        ("L['x'].size()[1] == L['m'].size()[1]", {"x": (1, 5), "m": (2, 6)}, False),
        ("2 <= L['x'].size()[0]", {"x": (1,)}, False),
        ("2 <= L['x'].size()[0] and L['x'].size()[0] <= 4", {"x": (4,)}, True),
        ("1 < L['x'].size()[0] < 3", {"x": (3,)}, False),
        ("not L['x'].size()[0] % 2 != 0", {"x": (6,)}, True),
        ("L['x'].size()[0] // 4 == -1 + 2", {"x": (7,)}, True),
        ("max(L['x'].size()[0], 3) - 3 == 0 or min(1, 2) > 1", {"x": (2,)}, True),
        ("  L['kwargs']['x'].size()[0] != 3 ", {"x": (3,)}, False),
    ],
)
def test_conditions_hold_as_they_read(text, sizes, wanted):
    assert condition(text).holds(sizes) is wanted


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "L['x'].size()[0].__class__ == 1",
        "L['x'].stride()[0] == 1",
        "L['x'].size(0) == 1",
        "L['x'][0] == 1",
        "M['x'].size()[0] == 1",
        "abs(1) == 1",
        "max(1, key=print) == 1",
        "max(*[1]) == 1",
        "x == 1",
        "1.5 < 2",
        "True == 1",
        "'a' == 'a'",
        "[1] == [1]",
        "2 ** 99999999 == 1",
        "1 << 2 == 4",
        "1 if 1 < 2 else 0",
        "(lambda: 1)() == 1",
        "1 == ",
        "",
        "import os",
    ],
)
def test_anything_else_is_unreadable(text):
    with pytest.raises(Unreadable):
        condition(text)


def test_each_text_is_read_once():
    found = conditions(["1 < 2", "2 < 3", "1 < 2"])
    assert [one.text for one in found] == ["1 < 2", "2 < 3"]


def test_copies_and_pickles_are_equal_and_still_hold():
    first = condition("L['x'].size()[0] == 3")
    for again in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert again == first
        assert again.holds({"x": (3,)})
        assert not again.holds({"x": (4,)})


@pytest.mark.parametrize(
    "text", ["-" * 100_000 + "1", "1+" * 20_000 + "1", "max() == 1", "max(1) == 1"]
)
def test_texts_that_would_break_the_reader_are_refused(text):
    with pytest.raises(Unreadable):
        condition(text)
