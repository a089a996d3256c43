"""Which layers may be rounded is decided on what they are really called with."""

import pytest
import torch
from torch import nn

from rarefy.acceleration import _rounding
from rarefy.acceleration._rounding import Rounding, _some
from rarefy.acceleration._swap import swap


@pytest.fixture
def model(thinned):
    torch.manual_seed(0)
    made = thinned(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16)))
    swap(made, None)
    return made


@pytest.fixture
def data():
    return [torch.randn(8, 64) for _ in range(2)]


@pytest.mark.parametrize(
    ("precision", "kinds"), [("int8", ("w8a8", "w8a16")), ("bfloat16", ("bf16", "f16"))]
)
def test_layers_of_a_traced_module_get_a_kind_and_its_measured_error(
    model, data, unit_of, precision, kinds
):
    rounding = Rounding(precision, model, data)
    rounding.look_at(unit_of(model, input=(8, 64)))
    assert set(rounding.kinds) == {"0.weight", "2.weight"}
    assert set(rounding.kinds.values()) == {kinds}
    assert all("changes its output by" in why for why in rounding.why.values())


def test_what_makes_a_region_one_of_images_is_left_to_torch(thinned, unit_of):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
    swap(thinned(model), None)
    rounding = Rounding("int8", model, [torch.randn(8, 4, 16) for _ in range(2)])
    unit = unit_of(model, input=(8, 4, 16))
    rounding.look_at(unit)
    assert set(rounding.kinds) == {"1.weight", "3.weight"}
    assert "flatten" not in {part.op for piece in unit.pieces.values() for part in piece.parts}


def test_a_chain_of_convolutions_is_not_rounded(thinned, unit_of):
    layers = (nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 4))
    model = nn.Sequential(*layers)
    swap(thinned(model), None)
    rounding = Rounding("int8", model, [torch.randn(2, 3, 8, 8)])
    rounding.look_at(unit_of(model, input=(2, 3, 8, 8)))
    assert rounding.kinds == {}


def test_single_layers_are_decided_the_same_way(model, data):
    rounding = Rounding("int8", model, data)
    rounding.look_at_layers({"2": model[2]})
    assert set(rounding.kinds) == {"2.weight"}
    assert not model[2]._forward_pre_hooks  # nothing of the look stays


def test_a_layer_that_no_batch_reached_is_not_rounded(model, data):
    rounding = Rounding("int8", model, data)
    rounding.look_at_layers({"alone": nn.Linear(4, 4)})
    assert rounding.kinds == {}
    assert "no batch of data reached it" in rounding.why["alone.weight"]


def test_too_large_an_error_keeps_a_layer_in_float32(model, data, monkeypatch):
    monkeypatch.setattr(_rounding, "BOUND", 1e-9)
    rounding = Rounding("int8", model, data)
    rounding.look_at_layers({"2": model[2]})
    assert rounding.kinds == {}
    assert rounding.why["2.weight"].startswith("stays in float32")


def test_dense_layers_are_not_looked_at(data, unit_of):
    model = nn.Sequential(nn.Linear(64, 4))
    swap(model, None)
    rounding = Rounding("int8", model, data)
    rounding.look_at(unit_of(model, input=(8, 64)))
    assert rounding.kinds == rounding.why == {}


def test_some_tokens_of_all_over_the_batch():
    tokens = torch.arange(1000.0).reshape(10, 100, 1)
    assert _some(tokens).flatten().tolist() == list(range(0, 1000, 4))
    assert _some(torch.ones(3, 2)).shape == (3, 2)
