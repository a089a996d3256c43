"""Models under their wrappers, and weights by name."""

import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.targets import find, names_of, plain_name, unwrap, weight_of

# torch's own, raised while it loads its compiler
compiles = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def net():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_a_plain_model_is_itself():
    model = net()
    assert unwrap(model) is model


@compiles
def test_wrappers_come_off_in_any_order():
    model = net()
    assert unwrap(torch.compile(model)) is model
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(nn.DataParallel(torch.compile(model))) is model
    assert unwrap(torch.compile(nn.DataParallel(model))) is model


def test_a_module_called_module_is_no_wrapper():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = net()

    model = Holder()
    assert unwrap(model) is model
    assert list(find(model)) == ["module.0.weight", "module.2.weight"]


@compiles
def test_names_are_those_of_the_plain_model():
    model = net()
    model[2] = torch.compile(model[2])
    names = [each for every in names_of(torch.compile(model)).values() for each in every]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_name_is_plain_without_what_a_compiler_put_in():
    assert plain_name("_orig_mod.a._orig_mod.b.weight") == "a.b.weight"
    assert plain_name("a.b.weight") == "a.b.weight"


@compiles
def test_a_compiled_part_is_found_by_its_plain_name():
    model = net()
    weight = model[2].weight
    model[2] = torch.compile(model[2])
    assert weight_of(model, "2.weight") is weight
    assert list(find(model)) == ["0.weight", "2.weight"]
    assert list(find(model, only="2")) == ["2.weight"]


def test_tied_weights_have_all_their_names():
    model = net()
    model.append(nn.Linear(3, 2))
    model[3].weight = model[2].weight
    assert names_of(model)[id(model[2].weight)] == ("2.weight", "3.weight")


def test_a_weight_is_looked_up_anew():
    model = net()
    model[0].weight = nn.Parameter(torch.zeros(3, 4))
    assert weight_of(model, "0.weight") is model[0].weight


@pytest.mark.parametrize("name", ["0.wieght", "5.weight", "0.weight.deeper", "1.weight"])
def test_a_weight_that_is_gone_is_named_with_the_way_out(name):
    with pytest.raises(TargetError, match=rf"no parameter '{name}' any more.*rarefy\.hold"):
        weight_of(net(), name)
