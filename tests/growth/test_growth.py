"""The rules one by one."""

import pytest
import torch

from rarefy.errors import BudgetError
from rarefy.growth import Gradient, Growth, Momentum, None_, Random


def test_gradient_and_momentum_rank_by_size():
    steep = torch.tensor([-3.0, 2.0])
    assert Gradient().arrivals(steep).tolist() == [3.0, 2.0]
    assert Momentum().arrivals(steep).tolist() == [3.0, 2.0]
    assert (Gradient().evidence, Momentum().evidence) == (("gradient",), ("momentum",))


def test_chance_draws_from_its_generator_and_counts_it_as_no_evidence():
    draw = Random().arrivals
    one = draw(torch.zeros(9), torch.Generator().manual_seed(1))
    assert torch.equal(one, draw(torch.ones(9), torch.Generator().manual_seed(1)))
    assert not torch.equal(one, draw(torch.ones(9), torch.Generator().manual_seed(2)))
    assert Random().evidence == ("weight",)


def test_chance_is_fair():
    """Of 8 places 2 return, 4,000 times: each 1,000 times, give or take five deviations."""
    returned = torch.zeros(8)
    for seed in range(4_000):
        scores = Random().arrivals(torch.zeros(8), torch.Generator().manual_seed(seed))
        returned[scores.topk(2).indices] += 1
    assert ((returned - 1_000).abs() < 5 * (4_000 * 0.25 * 0.75) ** 0.5).all()


def test_nothing_returns_with_none():
    assert None_().arrivals is None
    assert None_().share == 0
    assert None_().evidence == ()


def test_an_argument_with_a_default_is_no_evidence():
    def steepest(gradient, power=2):
        return gradient.abs() ** power

    assert Growth(arrivals=steepest).evidence == ("gradient",)


@pytest.mark.parametrize("beta", [-0.1, 1.0, 9])
def test_an_average_forgets_something(beta):
    with pytest.raises(BudgetError, match=rf"beta.*\[0, 1\); found {beta}"):
        Momentum(beta=beta)
