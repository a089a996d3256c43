"""One ranking over all weights, by hand."""

import pytest
import torch

from rarefy._types import Units
from rarefy.allocation import global_
from rarefy.errors import BudgetError, ScoreError


def scored(*values):
    scores = torch.tensor(values)
    living = int((scores > -float("inf")).sum())
    return Units(len(values), living, (len(values), 1), lambda: scores)


def test_the_best_of_all_win():
    units = {"a": scored(9.0, 1.0, 8.0), "b": scored(7.0, 2.0), "c": scored(6.0, 5.0)}
    assert global_(units, 4) == {"a": 2, "b": 1, "c": 1}


def test_ties_go_to_the_earlier_weight():
    units = {"a": scored(1.0, 1.0), "b": scored(1.0, 1.0)}
    assert global_(units, 3) == {"a": 2, "b": 1}
    assert global_({"b": units["b"], "a": units["a"]}, 3) == {"b": 2, "a": 1}


def test_a_weight_that_wins_nothing_is_lifted_at_the_cost_of_the_weakest_winner():
    units = {"a": scored(9.0, 8.0, 7.0), "b": scored(0.1, 0.2)}
    assert global_(units, 3) == {"a": 2, "b": 1}
    assert global_(units, 3, minimum=0) == {"a": 3, "b": 0}


def test_lifting_one_can_make_another_fall_short():
    # a and b win 2 of 2; lifting c takes b's place, so b must be lifted in its turn
    units = {"a": scored(9.0, 8.0, 7.0), "b": scored(6.0, 1.0), "c": scored(0.1)}
    assert global_(units, 4) == {"a": 2, "b": 1, "c": 1}
    assert global_(units, 3) == {"a": 1, "b": 1, "c": 1}


def test_what_is_gone_for_good_wins_nothing():
    gone = -float("inf")
    units = {"a": scored(gone, gone, 1.0), "b": scored(3.0, 2.0, gone)}
    assert global_(units, 3) == {"a": 1, "b": 2}


def test_a_weight_with_nothing_left_needs_no_minimum():
    gone = -float("inf")
    assert global_({"a": scored(gone, gone), "b": scored(3.0, 2.0)}, 1) == {"a": 0, "b": 1}


def test_weights_of_other_dtypes_compete():
    units = {
        "half": Units(2, 2, (2, 1), lambda: torch.tensor([1.0, 3.0], dtype=torch.bfloat16)),
        "double": Units(2, 2, (2, 1), lambda: torch.tensor([2.0, 0.5], dtype=torch.float64)),
    }
    assert global_(units, 2) == {"half": 1, "double": 1}


def test_a_nan_names_its_weight():
    with pytest.raises(ScoreError, match="'b'"):
        global_({"a": scored(1.0, 2.0), "b": scored(float("nan"), 1.0)}, 2)


def test_a_count_that_cannot_be_met_says_why():
    with pytest.raises(BudgetError, match=r"2 weights must keep at least 2.*minimum=0"):
        global_({"a": scored(1.0), "b": scored(1.0)}, 1)
