"""One exchange of one compressed weight is that of the masked one, slots in any order."""

from dataclasses import replace

import pytest
import torch

from rarefy import growth, methods, patterns
from rarefy.errors import ScoreError
from rarefy.growth import smallest_of_each_sign
from rarefy.schedules import Every
from rarefy.training import Plan, _changes, _slot_exchange
from rarefy.training._slot_exchange import Slots, dropping, growing, unit_scores
from rarefy.training._tiles import tiles_of

SHAPE = (1, 24, 30, 1)
NEAR = growth.Neighbours(outputs=(4, 6), inputs=(5, 6), wrap=(False, True))
RULES = [
    growth.Random(),
    growth.Random(drop=smallest_of_each_sign, decay="constant"),
    growth.Gradient(),
    growth.Gradient(drop=smallest_of_each_sign, share=0.6),
    NEAR,
]
PATTERNS = [patterns.Unstructured(), patterns.Block(2, 3), patterns.Row()]


def plan_of(rule, pattern, score=None):
    method = replace(methods.rigl(), growth=rule, pattern=pattern)
    method = method if score is None else replace(method, score=score)
    return Plan(method=method, sparsity=0.8, trigger=Every(steps=5, until=40), seed=11)


def weight(pattern, dtype=torch.float64, values=None):
    """Dense weight, gradient and mask, and the same as slots in no particular order."""
    torch.manual_seed(0)
    dense = torch.randn(SHAPE, dtype=dtype)
    gradient = torch.randn(SHAPE, dtype=dtype)
    if values:  # few different ones, so that ties have to be broken
        dense, gradient = (torch.randint(values, SHAPE).to(dtype) - 1 for _ in range(2))
    units = pattern.unit_scores(torch.rand(SHAPE))
    mask = pattern.expand(pattern.choose(units, units.numel() // 4), SHAPE)
    dense = dense * mask
    places = mask.flatten().nonzero().squeeze(1)
    places = places[torch.randperm(places.numel())]
    matrix = gradient.view(SHAPE[1], -1)
    slots = Slots(
        tiles_of(pattern, SHAPE),
        places,
        torch.cat([dense.flatten()[places], torch.zeros(3, dtype=dtype)]),  # some in reserve
        torch.cat([gradient.flatten()[places], torch.zeros(3, dtype=dtype)]),
        lambda first, last: matrix[first:last].clone(),
    )
    return dense, gradient, mask, slots


@pytest.mark.parametrize("values", [None, 3])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_it_is_that_of_the_masked_weight(rule, pattern, values):
    plan = plan_of(rule, pattern)
    dense, gradient, mask, slots = weight(pattern, values=values)
    evidence = {"weight": {"w": dense}, "gradient": {"w": gradient}}
    wanted = _changes.exchanged(plan, evidence, {"w": mask}, 15)["w"]
    side = dropping(plan, "w", slots, 15)
    found = growing(plan, "w", slots, side, 15)
    assert torch.equal(found.places.sort().values, wanted.flatten().nonzero().squeeze(1))
    newcomers = found.places[-side.count * slots.tiles.elements :]
    assert newcomers.numel() > 0
    here = found.slots >= 0
    assert torch.equal(here, torch.isin(found.places, slots.places))
    assert torch.equal(slots.places[found.slots[here]], found.places[here])
    if rule.evidence == ("gradient",):
        assert torch.equal(found.gradient, gradient.flatten()[newcomers])
    else:
        assert found.gradient is None


@pytest.mark.parametrize("score", ["magnitude", "gradient", "taylor", "random"])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_scores_are_those_of_the_masked_weight(score, pattern):
    from rarefy import scores
    from rarefy.selection import generator_for, score_of

    function = getattr(scores, score)
    plan = plan_of(growth.Random(), pattern, function)
    dense, gradient, mask, slots = weight(pattern)
    evidence = {"weight": {"w": dense}, "gradient": {"w": gradient}}
    whole = score_of("w", evidence, function, lambda: generator_for(11, 15, "w", "drop"))
    units, where, found, sign = unit_scores(plan, "w", slots, "drop", 15)
    kept = (pattern.unit_scores(mask.float()) > 0).flatten()
    assert torch.equal(units, kept.nonzero().squeeze(1))
    assert torch.equal(slots.places[where], slots.tiles.places(units))
    wanted = pattern.unit_scores(whole).flatten()[kept]
    assert torch.allclose(found, wanted, rtol=0, atol=1e-7 if score == "random" else 1e-14)
    assert torch.equal(sign, pattern.unit_scores(dense).flatten()[kept].sign())


@pytest.mark.parametrize("least", [0.5, 0.999, 2.0])
def test_a_guess_that_was_too_high_changes_nothing(monkeypatch, least):
    plan = plan_of(growth.Random(), patterns.Unstructured())
    slots = weight(patterns.Unstructured())[3]
    side = dropping(plan, "w", slots, 15)
    wanted = growing(plan, "w", slots, side, 15)
    monkeypatch.setattr(_slot_exchange, "_likely", lambda *_: least)
    assert torch.equal(growing(plan, "w", slots, side, 15).places, wanted.places)


def test_a_share_that_rounds_to_nothing_drops_nothing():
    plan = plan_of(growth.Random(share=0.001), patterns.Unstructured())
    assert dropping(plan, "w", weight(patterns.Unstructured())[3], 15).count == 0


def test_where_no_gradient_stands_out_nothing_grows():
    plan = plan_of(growth.Gradient(), patterns.Unstructured())
    slots = replace(weight(patterns.Unstructured())[3], rows=lambda a, b: torch.zeros(b - a, 30))
    assert growing(plan, "w", slots, dropping(plan, "w", slots, 15), 15) is None


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named(odd):
    plan = plan_of(growth.Gradient(), patterns.Unstructured())
    slots = weight(patterns.Unstructured())[3]
    side = dropping(plan, "w", slots, 15)

    def rows(first, last):
        found = torch.zeros(last - first, 30)
        found[-1, 7] = odd
        return found

    with pytest.raises(ScoreError, match="w has scores that are not finite"):
        growing(plan, "w", replace(slots, rows=rows), side, 15)
    slots.values[4] = odd
    with pytest.raises(ScoreError, match="w has scores that are not finite"):
        dropping(plan, "w", slots, 15)
