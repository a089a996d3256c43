"""FLOPs along a schedule, against the published averages."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import BudgetError
from rarefy.metrics import training_cost, training_flops

KEPT = []


def sparsifier_after(method, steps, taken, sparsity=0.9):
    model = nn.Sequential(nn.Linear(30, 20))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    sparsifier = rarefy.sparsify(model, sparsity, method, optimizer=optimizer, steps=steps, seed=0)
    for _ in range(taken):
        optimizer.zero_grad()
        model(torch.ones(4, 30)).square().mean().backward()
        optimizer.step()
    KEPT[:] = [model]  # a Sparsifier does not hold its model
    return sparsifier


@pytest.mark.parametrize("method", ["static", "set", "snfs"])
def test_methods_of_one_cost_a_step_have_the_published_one(method):
    sparsifier = sparsifier_after(method, 60, 60)
    points = training_flops(sparsifier, 0.1)
    assert points[-1] == (60, pytest.approx(training_cost(method, 0.1)))
    assert points[0][1] == pytest.approx(points[-1][1])


def test_rigl_pays_for_each_exchange():
    sparsifier = sparsifier_after("rigl", 60, 60)
    exchanges = sum(sparsifier.plan.due(step) for step in range(60))
    assert exchanges > 3
    mean = (60 - exchanges) * 0.1 + exchanges * (2 * 0.1 + 1) / 3
    assert training_flops(sparsifier, 0.1)[-1][1] == pytest.approx(mean / 60)


def test_a_ramp_costs_what_was_left_on_the_way():
    sparsifier = sparsifier_after("gmp", 60, 60)
    points = dict(training_flops(sparsifier, 0.1))
    assert points[1] == pytest.approx(1.0)
    assert 0.1 < points[60] < 0.9


def test_there_is_nothing_before_the_first_step_and_no_share_above_one():
    sparsifier = sparsifier_after("static", 10, 0)
    assert training_flops(sparsifier, 0.1) == []
    with pytest.raises(BudgetError, match="in \\[0, 1\\]"):
        training_flops(sparsifier, 1.1)


def test_a_long_run_has_at_most_two_hundred_points():
    sparsifier = sparsifier_after("static", 500, 401)
    points = training_flops(sparsifier, 0.1)
    assert len(points) <= 200
    assert points[-1][0] == 401
