"""A sparsity and a pattern, as users give them."""

import numpy as np
import pytest

from rarefy import patterns
from rarefy.errors import BudgetError, PatternError, UnknownName
from rarefy.patterns import Block, NofM, Row
from rarefy.selection import asked, pattern_of


@pytest.mark.parametrize(
    ("sparsity", "pattern", "meant"),
    [
        (0.9, None, (0.9, None)),
        (0, None, (0.0, None)),
        (np.float32(0.5), None, (0.5, None)),
        (0.9, "row", (0.9, Row())),
        (0.9, Row(), (0.9, Row())),
        (0.5, Block(2, 2), (0.5, Block(2, 2))),
        ("2:4", None, (None, NofM(2, 4))),
        ("2:4", "2:4", (None, NofM(2, 4))),
        (0.5, "2:4", (None, NofM(2, 4))),
        (0.75, NofM(1, 4), (None, NofM(1, 4))),
    ],
)
def test_a_sparsity_is_a_number_or_a_pattern(sparsity, pattern, meant):
    assert asked(sparsity, pattern) == meant


@pytest.mark.parametrize(
    ("sparsity", "pattern", "error", "words"),
    [
        (90, None, BudgetError, r"Did you mean 0\.9"),
        (None, None, BudgetError, "found None"),
        (True, None, BudgetError, "found True"),
        ("much", None, BudgetError, "'2:4'; found 'much': there is no pattern 'much'"),
        (0.9, "2:4", BudgetError, r"2:4 fixes the sparsity at 0\.5; found 0\.9\. Give '2:4'"),
        ("2:4", "1:4", PatternError, "sparsity='2:4' and pattern='1:4' contradict"),
        ("row", None, PatternError, "the pattern row fixes no sparsity.*pattern='row'"),
        (0.9, "rows", UnknownName, "no pattern 'rows'"),
        (0.9, 3, UnknownName, "pattern=3 is no pattern"),
    ],
)
def test_contradictions_and_nonsense_are_refused(sparsity, pattern, error, words):
    with pytest.raises(error, match=words):
        asked(sparsity, pattern)


@pytest.mark.parametrize("words", ["row", "2:4", "block 2x2", "unstructured", "column"])
def test_a_pattern_is_a_word_or_a_value(words):
    assert pattern_of(words) == pattern_of(patterns.parse(words)) == patterns.parse(words)
