"""Sparsities by regular expression."""

import pytest

from rarefy._types import Units
from rarefy.allocation import ByName
from rarefy.errors import BudgetError, TargetError


def units(capacity=None, **sizes):
    def never():
        raise AssertionError("a table looks at no score")

    room = capacity or {}
    return {n: Units(s, room.get(n, s), (s, 1), never) for n, s in sizes.items()}


WHOLE = units(stem=100, body=600, neck=200, head=100)


def test_what_is_left_of_the_budget_goes_to_the_others():
    # 200 kept: stem 50, head 100, and 50 of body and neck, 3:1
    assert ByName({"stem": 0.5, "head": 0.0})(WHOLE, 200) == {
        "stem": 50,
        "body": 38,
        "neck": 12,
        "head": 100,
    }


def test_the_first_expression_that_matches_counts():
    assert ByName({"^s": 0.9, "stem|head": 0.0})(WHOLE, 500)["stem"] == 10
    assert ByName({"^s": 0.9, "stem|head": 0.0})(WHOLE, 500)["head"] == 100


def test_a_table_for_every_weight_agrees_to_what_rounding_leaves():
    # 10 % of 15 is 1 in each, 2 in all; 10 % of the whole is 3
    assert ByName({"": 0.9})(units(a=15, b=15), 3) == {"a": 2, "b": 1}


def test_a_minimum_holds_for_fixed_weights_too():
    assert ByName({"stem": 0.999})(WHOLE, 500, 3)["stem"] == 3


def test_what_is_gone_for_good_stays_gone():
    whole = units(capacity={"stem": 20}, stem=100, body=600)
    assert ByName({"stem": 0.5})(whole, 300) == {"stem": 20, "body": 280}


@pytest.mark.parametrize("count", [49, 951])
def test_too_much_or_too_little_for_the_others_says_what_would_fit(count):
    with pytest.raises(BudgetError, match=r"ask for a sparsity from 0\.05.* to 0\.95"):
        ByName({"stem": 0.5})(WHOLE, count, 0)


def test_a_table_for_every_weight_that_says_something_else_is_refused():
    with pytest.raises(BudgetError, match="fixes 500 kept units"):
        ByName({"": 0.5})(WHOLE, 100)


def test_an_expression_that_finds_nothing_is_refused_with_the_names():
    with pytest.raises(TargetError, match="'haed' finds none of the weights: stem, body"):
        ByName({"haed": 0.5})(WHOLE, 500)


@pytest.mark.parametrize("sparsity", [1.0, -0.1, 90, float("nan")])
def test_no_sparsity_is_refused_with_its_expression(sparsity):
    with pytest.raises(BudgetError, match=r"'head'.*\[0, 1\)"):
        ByName({"head": sparsity})


@pytest.mark.parametrize("table", [{"(": 0.5}, {3: 0.5}, {"head": "half"}, {"head": None}])
def test_no_expression_is_refused(table):
    with pytest.raises(TargetError, match="no regular expression"):
        ByName(table)


def test_on_the_way_a_fixed_weight_has_come_as_far_as_the_whole():
    table = ByName({"stem": 0.5}, final=0.8)
    # half way: 40 % of the whole is gone, and 25 % of the stem
    assert table(WHOLE, 600) == {"stem": 75, "body": 350, "neck": 117, "head": 58}
    assert table(WHOLE, 1000)["stem"] == 100
    assert table(WHOLE, 200)["stem"] == 50


def test_on_the_way_counts_only_fall():
    table = ByName({"stem": 0.5, "neck": 0.95}, final=0.9)
    before = {"stem": 100, "body": 600, "neck": 200, "head": 100}
    for count in range(999, 99, -1):
        counts = table(WHOLE, count)
        assert sum(counts.values()) == count
        assert all(counts[n] <= before[n] + 1 for n in counts)
        before = counts


def test_on_the_way_rounding_never_stops_it():
    whole = units(a=15, b=15, c=1)
    table = ByName({"a": 0.9, "b": 0.9}, final=round(1 - 3 / 31, 6))
    for count in range(31, 2, -1):
        assert sum(table(whole, count).values()) == count
