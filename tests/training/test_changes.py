"""Masks before and after a change, by hand."""

from dataclasses import replace

import pytest
import torch

from rarefy import growth, methods, patterns
from rarefy.errors import BudgetError, ScoreError
from rarefy.schedules import Every
from rarefy.training import Plan
from rarefy.training._changes import exchanged, removes


def matrix(values):
    """A weight of one output, in the matrix view."""
    return torch.tensor(values).reshape(1, 1, -1, 1)


def flat(mask):
    return mask.flatten().tolist()


def plan(method, **given):
    return Plan(
        method=method,
        sparsity=0.5,
        trigger=Every(steps=1, until=100),
        seed=0,
        **given,
    )


T, F = True, False


def test_an_exchange_drops_the_smallest_and_grows_the_steepest():
    rule = growth.Gradient(share=0.5, decay="constant")
    masks = {"w": matrix([T, T, T, T, F, F, F])}
    evidence = {
        "weight": {"w": matrix([4.0, -1.0, 3.0, 2.0, 0.0, 0.0, 0.0])},
        "gradient": {"w": matrix([9.0, 0.0, 9.0, 0.0, 1.0, -3.0, 2.0])},
    }
    found = exchanged(plan(methods.rigl(growth=rule)), evidence, masks, step=1)
    assert flat(found["w"]) == [T, F, T, F, F, T, T]
    assert flat(masks["w"]) == [T, T, T, T, F, F, F]


def test_the_share_is_rounded_down_as_in_the_reference():
    rule = growth.Gradient(share=0.3, decay="constant")
    evidence = {
        "weight": {"w": matrix([4.0, 3.0, 2.0, 0.0])},
        "gradient": {"w": matrix([0.0, 0.0, 0.0, 1.0])},
    }
    masks = {"w": matrix([T, T, T, F])}
    assert exchanged(plan(methods.rigl(growth=rule)), evidence, masks, step=1) == {}


def test_the_share_decays_along_half_a_cosine():
    rule = growth.Gradient(share=0.5, decay="cosine")
    weights = torch.arange(1.0, 101.0).reshape(1, 1, 100, 1)
    evidence = {
        "weight": {"w": torch.cat([weights, torch.zeros_like(weights)], 2)},
        "gradient": {"w": torch.cat([torch.zeros_like(weights), weights], 2)},
    }
    masks = {"w": torch.arange(200).reshape(1, 1, 200, 1) < 100}
    for step, moved in [(1, 49), (50, 25), (99, 0)]:
        found = exchanged(plan(methods.rigl(growth=rule)), evidence, masks, step=step)
        assert int((found.get("w", masks["w"]) & ~masks["w"]).sum()) == moved


def test_momentum_moves_weights_three_to_one():
    """Two layers whose living momenta are as 3 to 1 share eight newcomers 6 to 2."""
    rule = growth.Momentum(share=0.5, decay="constant", redistributes=True)
    weight = torch.cat([torch.arange(1.0, 9.0), torch.zeros(92)]).reshape(1, 1, 100, 1)
    masks = {"a": weight > 0, "b": weight > 0}
    evidence = {
        "weight": {"a": weight, "b": weight},
        "momentum": {"a": torch.full_like(weight, -3.0), "b": torch.full_like(weight, 1.0)},
    }
    found = exchanged(plan(methods.snfs(growth=rule)), evidence, masks, step=1)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {"a": 10, "b": 6}
    assert all((found[name] & masks[name])[..., 4:8, :].all() for name in masks)


def test_a_weight_that_is_nearly_dense_exchanges_no_more_than_its_sparsity():
    rule = growth.Momentum(share=0.5, decay="constant", redistributes=True)
    weight = torch.arange(1.0, 101.0).reshape(1, 1, 100, 1)
    masks = {"w": weight > 10}
    evidence = {"weight": {"w": weight * masks["w"]}, "momentum": {"w": torch.ones_like(weight)}}
    found = exchanged(plan(methods.snfs(growth=rule)), evidence, masks, step=1)
    assert int(found["w"].sum()) == 90
    assert int((found["w"] & masks["w"]).sum()) >= 90 - 9  # a tenth of 90, not a half


@pytest.mark.parametrize("kind", ["weight", "gradient"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_named(kind, value):
    evidence = {
        "weight": {"layer": matrix([4.0, 3.0, 0.0])},
        "gradient": {"layer": matrix([1.0, 1.0, 1.0])},
    }
    evidence[kind]["layer"][..., 0, :] = value
    rule = growth.Gradient(share=0.5, decay="constant")
    with pytest.raises(ScoreError, match=r"layer .*not finite.*Masks are unchanged"):
        exchanged(plan(methods.rigl(growth=rule)), evidence, {"layer": matrix([T, T, F])}, step=1)


def test_whether_a_sparsity_removes_keeps_or_brings_back():
    half = plan(methods.one_shot())
    masks = {"w": matrix([T, T, F, F])}
    assert removes(half, masks, 0.75) is True
    assert removes(half, masks, 0.5) is False
    assert removes(half, masks, 0.25) is None
    with pytest.raises(BudgetError, match=r"0\.9"):
        removes(half, masks, 90)
    rows = replace(half, method=methods.one_shot(pattern=patterns.Row()))
    both = {"w": torch.tensor([[T, T], [F, F]]).reshape(1, 2, 2, 1)}
    assert removes(rows, both, 0.5) is False
