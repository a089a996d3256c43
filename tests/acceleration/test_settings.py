"""Plain attributes that captured code has baked in are compared before it runs."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rarefy.acceleration._settings import settings_of, unchanged


class Block(nn.Module):
    """Reads a configuration and attributes of its own."""

    def __init__(self):
        super().__init__()
        self.fc, self.scale, self.words = nn.Linear(8, 16), 2.0, "mean"
        self.config = SimpleNamespace(shift=False, width=8)
        self.fc.config = self.config

    def forward(self, x):  # noqa: D102
        return self.fc(x) * self.scale + (1 if self.config.shift else 0)


@pytest.fixture
def block():
    return Block()


@pytest.fixture
def before(block):
    return settings_of(block)


def test_nothing_changed(block, before):
    assert before[""] == {"scale": 2.0, "words": "mean"}
    assert before["."] == {"shift": False, "width": 8}
    assert unchanged(block, before)
    block.train(False)
    assert unchanged(block, before)


@pytest.mark.parametrize(
    ("name", "value"), [("scale", 3.0), ("scale", 2), ("words", "sum"), ("words", None)]
)
def test_a_changed_attribute_is_seen(block, before, name, value):
    setattr(block, name, value)
    assert not unchanged(block, before)


def test_a_changed_configuration_is_seen_and_a_lost_one(block, before):
    block.config.shift = True
    assert not unchanged(block, before)
    block.config.shift = False
    assert unchanged(block, before)
    del block.config
    assert not unchanged(block, before)


def test_a_configuration_below_is_watched_and_the_lack_of_its_module_seen():
    model = nn.Sequential(Block())
    before = settings_of(model)
    assert "0." in before
    model[0].config.width = 9
    assert not unchanged(model, before)
    model[0].config.width = 8
    assert unchanged(model, before)
    model[0] = nn.ReLU()
    assert not unchanged(model, before)


def test_a_flag_that_is_switched_later_is_not_ignored(block, thinned, hastened):
    model = thinned(block)
    x = torch.randn(3, 8)
    fast = hastened(model, x)
    assert torch.allclose(fast(x), model(x), atol=1e-5)
    fast.config.shift = model.config.shift = True
    fast.scale = model.scale = 5.0
    assert torch.allclose(fast(x), model(x), atol=1e-5)
