"""RigL by hand on one row of six, and against plain twins."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.growth import Gradient
from rarefy.schedules import Every

WEIGHT = [0.5, -0.1, 0.3, 0.02, 0.01, 0.03]


def one_row(gradient, rate=0.0, count=2, momentum=0.0):
    """Three of six weights live, one is exchanged; the gradient is what we say it is."""
    model = nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([WEIGHT]))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    sparsifier = rarefy.sparsify(
        model,
        0.5,
        "one_shot",
        optimizer=optimizer,
        growth=Gradient(share=0.34, decay="constant"),
        when=Every(steps=1, until=1),
    )
    weights = []
    for _ in range(count):
        optimizer.zero_grad()
        (model.weight * torch.tensor([gradient])).sum().backward()
        optimizer.step()
        weights.append(model.weight.detach().flatten().clone())
    return weights, sparsifier, optimizer


def test_the_smallest_goes_and_the_steepest_dead_one_comes_at_zero():
    weights, sparsifier, _ = one_row([9.0, 0.0, 9.0, 1.0, -5.0, 2.0])
    assert sparsifier.masks["weight"].flatten().tolist() == [True, False, True, False, True, False]
    torch.testing.assert_close(weights[1], torch.tensor([0.5, 0.0, 0.3, 0.0, 0.0, 0.0]))


def test_what_went_and_came_back_keeps_its_value():
    weights, sparsifier, _ = one_row([0.0, -7.0, 0.0, 1.0, 5.0, 2.0])
    assert sparsifier.masks["weight"].flatten().tolist() == [True, True, True, False, False, False]
    torch.testing.assert_close(weights[1], torch.tensor([0.5, -0.1, 0.3, 0.0, 0.0, 0.0]))


def test_no_step_is_taken_at_an_exchange():
    gradient = [1.0, 0.0, -1.0, 0.0, 5.0, 0.0]
    weights, sparsifier, optimizer = one_row(gradient, rate=0.1, count=3, momentum=0.5)
    torch.testing.assert_close(weights[0], torch.tensor([0.4, -0.1, 0.4, 0.0, 0.0, 0.0]))
    # the exchange: the second goes, the fifth comes, and nothing else moves
    torch.testing.assert_close(weights[1], torch.tensor([0.4, 0.0, 0.4, 0.0, 0.0, 0.0]))
    # a plain step: momentum 1.5 for those who stayed, the newcomer's begins at its gradient
    torch.testing.assert_close(weights[2], torch.tensor([0.25, 0.0, 0.55, 0.0, -0.5, 0.0]))
    buffer = optimizer.state_dict()["state"][0]["momentum_buffer"].flatten()
    torch.testing.assert_close(buffer, torch.tensor([1.5, 0.0, -1.5, 0.0, 5.0, 0.0]))
    assert sparsifier.step == 3


@pytest.mark.parametrize(("share", "exchanged"), [(0.33, 0), (0.34, 1), (0.67, 2)])
def test_the_share_is_rounded_down(share, exchanged):
    model = nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([WEIGHT]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sparsifier = rarefy.sparsify(
        model,
        0.5,
        optimizer=optimizer,
        method="one_shot",
        growth=Gradient(share=share, decay="constant"),
        when=Every(steps=1, until=1),
    )
    for _ in range(2):
        optimizer.zero_grad()
        (model.weight * torch.tensor([[0.0, 0.0, 0.0, 3.0, 2.0, 1.0]])).sum().backward()
        optimizer.step()
    assert int(sparsifier.masks["weight"].flatten()[3:].sum()) == exchanged


def test_the_share_falls_along_the_cosine():
    """0.3 of 100 living ones, at a quarter, half and three quarters of the way."""
    model = nn.Linear(20, 10, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, when=Every(steps=10, until=40), seed=0
    )
    born = []
    for step in range(60):
        before = sparsifier.masks["weight"]
        optimizer.zero_grad()
        # dead places are always steeper than living ones, so that nothing returns at once
        (model.weight * (1.0 + 9 * (~before))).sum().backward()
        optimizer.step()
        came = int((sparsifier.masks["weight"] & ~before).sum())
        if came:
            born.append((step, came))
    # 0.3 (1 + cos) / 2 of 100: 25.6, 15, 4.4, 0
    assert born == [(10, 25), (20, 15), (30, 4)]


def test_growth_on_least_squares_is_the_column_that_matching_pursuit_picks():
    torch.manual_seed(3)
    columns = nn.functional.normalize(torch.randn(40, 12, dtype=torch.float64), dim=0)
    truth = torch.zeros(12, dtype=torch.float64)
    truth[[2, 7, 9]] = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)
    target = columns @ truth
    model = nn.Linear(12, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    mask = torch.zeros(1, 12, dtype=torch.bool)
    for _ in range(3):
        # orthogonal matching pursuit: the column that fits the residual best, then a refit
        residual = target - columns @ model.weight.detach()[0]
        wanted = int((columns.T @ residual).abs().argmax())
        ((columns @ model.weight[0] - target).square().sum() / 2).backward()
        scores = Gradient().arrivals(model.weight.grad)
        grown = rarefy.growth.exchange(mask, torch.zeros_like(mask), scores, int(mask.sum()) + 1)
        assert (grown & ~mask).nonzero().tolist() == [[0, wanted]]
        mask = grown
        fit = torch.linalg.lstsq(columns[:, mask[0]], target[:, None]).solution.flatten()
        model.weight = nn.Parameter(
            torch.zeros(1, 12, dtype=torch.float64).masked_scatter(mask, fit)
        )
    torch.testing.assert_close(model.weight.detach()[0], truth)


def test_densities_are_erdos_renyi_kernel():
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(8, 20))
    sparsifier = rarefy.sparsify(
        model, 0.75, "rigl", optimizer=torch.optim.SGD(model.parameters()), steps=100
    )
    # shares 288 * 18 / 288 = 18 and 28 of 112 kept
    assert [int(mask.sum()) for mask in sparsifier.masks.values()] == [44, 68]
