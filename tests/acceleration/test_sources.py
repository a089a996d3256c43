"""Where parameters come from, and sections with hand-worked values."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._sources import Recipe, Source, bytes_of, density_of, source_of
from rarefy.errors import TargetError
from rarefy.kernels import unpack

WEIGHT, BIAS = Source((), "_parameters", "weight"), Source((), "_parameters", "bias")


def numbers(section):
    return section.data.view(torch.float32)


@pytest.fixture
def norm():
    made = nn.BatchNorm2d(2, eps=0.0)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([3.0, 1.0]))
        made.bias.copy_(torch.tensor([1.0, 0.0]))
        made.running_mean.copy_(torch.tensor([2.0, -1.0]))
        made.running_var.copy_(torch.tensor([4.0, 0.25]))
    return made


def test_a_name_is_found_below_a_module_and_names_back():
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.BatchNorm1d(2)))
    source = source_of(model, "1.0.running_mean")
    assert source == Source(("1", "0"), "_buffers", "running_mean")
    assert source.name == "1.0.running_mean"
    assert source.tensor(model) is model[1][0].running_mean
    for name in ("1.0.nothing", "7.weight", "1.0", "0.weight"):
        assert source_of(model, name) is None


def test_what_is_gone_is_named_with_the_way_out():
    model = nn.Sequential(nn.Linear(2, 2))
    source = source_of(model, "0.bias")
    model[0].bias = None
    with pytest.raises(TargetError, match=r"0\.bias.*rarefy.accelerate"):
        source.tensor(model)
    del model[0]
    with pytest.raises(TargetError, match="replaced or removed"):
        source.tensor(model)


@pytest.mark.parametrize("kind", ["weight", "turned"])
def test_a_weight_is_packed_outputs_first(kind):
    layer = nn.Linear(3, 2)
    section = Recipe(kind, (WEIGHT,)).section(layer)
    wanted = layer.weight.t() if kind == "turned" else layer.weight
    assert torch.equal(unpack(section), wanted.detach())


def test_a_batch_norm_becomes_scale_and_shift(norm):
    places = [("_parameters", "weight"), ("_parameters", "bias"), ("_buffers", "running_mean"),
              ("_buffers", "running_var"), ("_buffers", "num_batches_tracked")]  # fmt: skip
    sources = tuple(Source((), table, key) for table, key in places)
    # Scale 3 / 2 and 1 / 0.5; shift 1 - 2 * 1.5 and 0 + 1 * 2.
    assert numbers(Recipe("affine", sources, 2).section(norm)).tolist() == [1.5, 2, -2, 2]
    bare = Recipe("affine", (None, None, *sources[2:]), 2, eps=12.0).section(norm)
    assert numbers(bare)[0] == 0.25


def test_a_layer_norm_without_parameters_is_one_and_zero():
    assert numbers(Recipe("norm", (None, None), 2).section(nn.Identity())).tolist() == [1, 1, 0, 0]


def test_floats_lie_as_they_are():
    layer = nn.Linear(3, 2)
    assert torch.equal(numbers(Recipe("floats", (BIAS,)).section(layer)), layer.bias.detach())


def test_other_dtypes_and_missing_parameters_are_refused():
    with pytest.raises(TargetError, match="float64"):
        Recipe("floats", (BIAS,)).section(nn.Linear(3, 2, dtype=torch.float64))
    with pytest.raises(TargetError, match="missing"):
        Recipe("floats", (None,)).section(nn.Linear(3, 2))


def test_density_and_bytes():
    assert density_of(torch.tensor([[0.0, 1.0], [0.0, 0.0]])) == 0.25
    assert density_of(torch.empty(0, 3)) == 1.0
    assert bytes_of((2, 3)) == 24
