"""Newcomers between weights."""

import pytest

from rarefy.errors import BudgetError
from rarefy.growth import redistribute

FREE = {"a": 50, "b": 50}


def test_three_to_one_of_eight_is_six_and_two():
    assert redistribute(8, {"a": 3.0, "b": 1.0}, FREE) == {"a": 6, "b": 2}


def test_what_a_full_weight_cannot_take_goes_to_the_others():
    assert redistribute(8, {"a": 3.0, "b": 1.0}, {"a": 4, "b": 50}) == {"a": 4, "b": 4}


def test_without_any_worth_all_are_equal():
    assert redistribute(7, {"a": 0.0, "b": 0.0}, FREE) == {"a": 4, "b": 3}


def test_a_worthless_weight_gets_nothing():
    assert redistribute(7, {"a": 0.0, "b": 1e-30}, FREE) == {"a": 0, "b": 7}


def test_more_than_there_is_room_for_is_refused():
    with pytest.raises(BudgetError, match="can keep at most 100"):
        redistribute(101, {"a": 3.0, "b": 1.0}, FREE)


def test_a_worth_that_is_no_number_is_refused_by_name():
    with pytest.raises(BudgetError, match="b has a share of nan"):
        redistribute(8, {"a": 3.0, "b": float("nan")}, FREE)
