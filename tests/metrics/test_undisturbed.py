"""Nothing is left behind by running a model."""

import random

import pytest
import torch
from torch import nn

from rarefy.metrics import undisturbed


class Counting(nn.Module):
    """Writes into one buffer and replaces another, even in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("cache", None)

    def forward(self, x):  # noqa: D102
        self.seen.add_(len(x))
        self.calls = self.calls + 1
        self.cache = x
        return x + torch.rand(1) + random.random()


def test_buffers_come_back_in_place_and_in_value():
    model = Counting()
    seen, calls = model.seen, model.calls
    with undisturbed(model):
        model(torch.zeros(3))
        assert model.calls.item() == 1
    assert model.seen is seen
    assert model.calls is calls
    assert (seen.item(), calls.item(), model.cache) == (0.0, 0.0, None)


def test_random_state_comes_back():
    before = (torch.get_rng_state(), random.getstate())
    with undisturbed(model := Counting()):
        model(torch.zeros(3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_each_training_flag_comes_back_after_an_error_too():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    model[1].eval()
    inside = []

    def fail():
        inside.extend(module.training for module in model.modules())
        raise KeyError

    with pytest.raises(KeyError), undisturbed(model):
        fail()
    assert inside == [False] * 4
    assert [module.training for module in model.modules()] == [True, True, False, False]


def test_an_untouched_buffer_is_not_written():
    model = nn.BatchNorm1d(2)
    version = model.running_mean._version
    with undisturbed(model):
        model(torch.zeros(3, 2))
    assert model.running_mean._version == version
