"""Patterns as users write them."""

import pytest

from rarefy.errors import PatternError, UnknownName
from rarefy.patterns import Block, Column, NofM, Row, Unstructured, parse


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("unstructured", Unstructured()),
        (" Row ", Row()),
        ("COLUMN", Column()),
        ("2:4", NofM(2, 4)),
        ("1 : 8", NofM(1, 8)),
        ("block 4x1", Block(4, 1)),
        ("block 16 x 16", Block(16, 16)),
        ("block2x2", Block(2, 2)),
    ],
)
def test_words_mean_patterns(words, pattern):
    assert parse(words) == pattern


@pytest.mark.parametrize(("words", "near"), [("rwo", "row"), ("blok 4x1", "block 4x1")])
def test_an_unknown_one_is_refused_with_the_nearest(words, near):
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'.*Patterns are: unstructured"):
        parse(words)


@pytest.mark.parametrize("words", ["", "2:4:8", "block", "-2:4", "2.5:4"])
def test_what_is_no_pattern_is_refused(words):
    with pytest.raises(UnknownName, match="there is no pattern"):
        parse(words)


@pytest.mark.parametrize("words", ["4:2", "0:4", "4:4", "block 0x4"])
def test_numbers_that_make_no_pattern_are_refused(words):
    with pytest.raises(PatternError):
        parse(words)
