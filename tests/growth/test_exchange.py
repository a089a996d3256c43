"""One row, drop and grow by hand."""

import pytest
import torch

from rarefy.errors import BudgetError
from rarefy.growth import exchange, smallest
from rarefy.patterns import NofM

WEIGHT = torch.tensor([0.5, -0.1, 0.3, 0.0, 0.0, 0.0])
KEPT = WEIGHT != 0


def grown(gradient, count=3):
    dropped = smallest(WEIGHT.abs(), WEIGHT.sign(), KEPT, 1)
    return exchange(KEPT, dropped, gradient.abs(), count)


def test_the_smallest_weight_makes_room_for_the_steepest_dead_one():
    gradient = torch.tensor([9.0, 0.2, 9.0, 1.0, -5.0, 2.0])
    assert grown(gradient).tolist() == [True, False, True, False, True, False]


def test_what_is_dropped_may_return_at_once():
    gradient = torch.tensor([0.0, -7.0, 0.0, 1.0, 5.0, 2.0])
    assert grown(gradient).tolist() == KEPT.tolist()


def test_survivors_stay_whatever_their_gradient():
    assert grown(torch.tensor([0.0, 1.0, 0.0, 9.0, 9.0, 9.0]))[[0, 2]].all()


def test_equal_arrivals_come_from_the_front():
    assert grown(torch.zeros(6)).tolist() == [True, True, True, False, False, False]


def test_more_may_return_than_went():
    assert grown(torch.arange(6.0), count=5).tolist() == [True, False, True, True, True, True]


def test_fewer_than_survive_is_refused():
    with pytest.raises(BudgetError, match="2 units survive the exchange, so 1"):
        grown(torch.arange(6.0), count=1)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bfloat16, torch.float64, torch.bool])
def test_arrivals_of_any_dtype(dtype):
    gradient = torch.tensor([0, 0, 0, 0, 1, 0]).to(dtype)
    assert exchange(KEPT, KEPT, gradient, 1).tolist() == [False] * 4 + [True, False]


def test_the_pattern_has_its_say():
    kept = torch.tensor([[[[1], [1], [0], [0], [1], [1], [0], [0]]]], dtype=torch.bool)
    dropped = torch.zeros_like(kept)
    dropped[0, 0, 1] = True
    gradient = torch.arange(8.0).reshape(kept.shape)
    found = exchange(kept, dropped, gradient, 4, choose=NofM(2, 4).choose)
    # the best dead one is the last, but it would be a third in its group of four
    assert found.flatten().tolist() == [True, False, False, True, True, True, False, False]
