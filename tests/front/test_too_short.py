"""Runs in which nothing would happen are refused, and ramps begin where they say."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy import growth, methods, schedules
from rarefy.errors import BudgetError, ScheduleError


@pytest.fixture
def pair():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


IDLE = {
    "only where the share is zero": ("rigl", {"steps": 7}, "exchanges nothing"),
    "said in words": ("rigl", {"steps": 100, "when": "every 50 until 50%"}, "exchanges nothing"),
    "no share": ("rigl", {"steps": 100, "growth": growth.Gradient(share=0.0)}, "exchanges nothing"),
    "a ramp at once": ("gmp", {"steps": 100, "when": "once"}, "leaves no time"),
    "beyond the run": (
        "set",
        {"steps": 100, "when": schedules.Every(steps=10, until=5_000)},
        "goes on beyond the 100 steps",
    ),
}


@pytest.mark.parametrize(("method", "words", "said"), IDLE.values(), ids=IDLE)
def test_a_run_in_which_nothing_happens_is_refused(pair, method, words, said):
    model, optimizer = pair
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ScheduleError, match=said):
        rarefy.sparsify(model, 0.5, method, optimizer=optimizer, **words)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert rarefy.training.sparsifier_of(model) is None


def test_a_ramp_begins_at_its_initial_sparsity(pair):
    model, optimizer = pair
    ramp = schedules.Cubic(final=0.9, initial=0.5, start=10, end=60)
    sparsifier = rarefy.sparsify(model, 0.9, "gmp", optimizer=optimizer, when=ramp, steps=100)
    assert sparsifier.sparsity == 0.5
    assert sparsifier.masks.kept == 384


def test_a_constant_ramp_holds_from_the_first_step(pair):
    model, optimizer = pair
    ramp = schedules.Constant(final=0.75)
    sparsifier = rarefy.sparsify(model, 0.75, "gmp", optimizer=optimizer, when=ramp, steps=100)
    assert sparsifier.sparsity == 0.75


def test_words_inside_a_method_are_read_as_beside_it(pair):
    model, optimizer = pair
    method = methods.rigl(growth="momentum", pattern="block 4x1", allocation={"^0": 0.5})
    sparsifier = rarefy.sparsify(model, 0.5, method, optimizer=optimizer, steps=100)
    assert sparsifier.words["growth"] == "momentum"
    assert sparsifier.words["pattern"] == "block 4x1"
    assert int(sparsifier.masks["0.weight"].sum()) == 256


@pytest.mark.parametrize("seed", [1.5, "a", True, 2**63])
def test_a_seed_is_a_whole_number(pair, seed):
    with pytest.raises(BudgetError, match="seed is a whole number"):
        rarefy.sparsify(pair[0], 0.5, seed=seed)
    assert rarefy.training.sparsifier_of(pair[0]) is None
