"""What a compressed layer is made of."""

import pytest
import torch

from rarefy.errors import BudgetError, PatternError
from rarefy.layers._start import masked_topology, started_topology, started_values


def test_slack_is_a_share_of_what_lives():
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[:2] = True
    for slack, capacity in ((0, 20), (0.1, 22), (0.01, 21), (9.0, 100)):
        topology = masked_topology((10, 10), mask, slack)
        assert (topology.count, topology.capacity) == (20, capacity)


@pytest.mark.parametrize("slack", [-0.1, float("nan"), float("inf")])
def test_slack_that_is_none_is_refused(slack):
    with pytest.raises(BudgetError, match="slack="):
        masked_topology((2, 2), torch.ones(2, 2, dtype=torch.bool), slack)


@pytest.mark.parametrize("mask", [torch.ones(4, 6), torch.ones(6, 4, dtype=torch.bool)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(PatternError, match=r"does not fit a weight of shape \(4, 6\)"):
        started_topology((4, 6), mask, None, 0, None)


def test_a_sparsity_that_is_none_is_refused():
    with pytest.raises(BudgetError, match=r"Did you mean 0\.9"):
        started_topology((4, 6), None, 90, 0, None)


def test_drawn_places_are_drawn_evenly():
    generator = torch.Generator().manual_seed(0)
    drawn = [started_topology((5, 8), None, 0.75, 0, generator).mask() for _ in range(400)]
    shares = torch.stack(drawn).double().mean(0)
    assert (shares - 0.25).abs().max() < 0.1


def test_only_what_lives_gets_a_value():
    topology = started_topology((30, 40), None, 0.5, 0.5, None)
    values, bias = started_values(topology, True, None, torch.float64)
    assert values.shape == (900,)
    assert values[:600].all()
    assert not values[600:].any()
    assert bias.shape == (30,)
    assert started_values(topology, False, None, None)[1] is None
