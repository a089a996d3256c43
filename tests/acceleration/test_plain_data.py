"""Chains, arguments and guards survive the way to JSON and back; damaged data are refused."""

import json

import pytest
import torch

from rarefy.acceleration._accepts import Accepts, TensorWanted
from rarefy.acceleration._arguments import Constant, Opaque, TensorLike
from rarefy.acceleration._conditions import conditions
from rarefy.acceleration._plain_data import (
    accepts_data,
    accepts_of,
    argument_data,
    argument_of,
    chain_data,
    chain_of,
    constants_data,
    constants_of,
)
from rarefy.acceleration._plain_script import Unstorable
from rarefy.acceleration._sources import Recipe, Source
from rarefy.acceleration._translate import Chain
from rarefy.errors import FileError

WEIGHT = Recipe("weight", (Source(("a", "b"), "_parameters", "weight"),), precision="int8")
NORM = Recipe("norm", (None, Source((), "_buffers", "bias")), 7, 1e-5)


def through(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_a_chain_comes_back_equal():
    chain = Chain("r0 = input", (WEIGHT, NORM))
    assert chain_of(through(chain_data(chain))) == chain


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "eval"),
        ("eps", -1.0),
        ("eps", "nan"),
        ("size", -1),
        ("size", True),
        ("sources", [[["a"], "__dict__", "weight"]]),
        ("sources", [[[1], "_buffers", "weight"]]),
    ],
)
def test_a_recipe_of_another_kind_is_refused(key, value):
    data = chain_data(Chain("p", (WEIGHT,)))
    data["recipes"][0][key] = value
    with pytest.raises(FileError, match="damaged"):
        chain_of(data)


@pytest.mark.parametrize(
    "argument",
    [TensorLike((2, 0, 3), torch.int64), Constant(None), Constant(True), Constant(0.1),
     Constant("mean"), Constant(float("inf"))],
)  # fmt: skip
def test_an_argument_comes_back_equal(argument):
    assert argument_of(through(argument_data(argument))) == argument


def test_opaque_arguments_are_not_stored_and_huge_examples_not_read():
    with pytest.raises(Unstorable):
        argument_data(Opaque("Cache"))
    for shape in ([1 << 15, 1 << 15], [-1], [2.0]):
        with pytest.raises(FileError):
            argument_of({"shape": shape, "dtype": "float32"})
    with pytest.raises(FileError):
        argument_of({"shape": [2], "dtype": "qint8"})
    with pytest.raises(FileError):
        argument_of({"value": {"l": [1]}})


def test_accepted_calls_come_back_equal():
    wanted = {"x": TensorWanted(torch.float32, (None, 8), (2, 1)), "flag": Constant(False)}
    accepts = Accepts(("x", "flag"), wanted, conditions(["L['x'].size()[0] <= 9"]))
    found = accepts_of(through(accepts_data(accepts)))
    assert (found.names, found.wanted) == (accepts.names, accepts.wanted)
    assert [c.text for c in found.conditions] == [c.text for c in accepts.conditions]
    assert len(found.conditions) == 1


def test_a_condition_with_code_in_it_is_refused():
    data = {"names": [], "wanted": {}, "conditions": ["__import__('os').getpid() == 1"]}
    with pytest.raises(FileError, match="condition"):
        accepts_of(data)


def test_small_constants_come_back_equal_and_large_ones_are_not_stored():
    constants = {
        "a": torch.tensor([[1.5, float("-inf")], [0.0, 2.0]]),
        "b": torch.tensor(3),
        "c": torch.tensor([True, False]),
    }
    found = constants_of(through(constants_data(constants)))
    assert found.keys() == constants.keys()
    for name, tensor in constants.items():
        assert found[name].dtype is tensor.dtype
        assert torch.equal(found[name], tensor)
    with pytest.raises(Unstorable):
        constants_data({"a": torch.zeros(4097)})
    with pytest.raises(FileError):
        constants_of({"a": ["float32", [3], [{"f": "1.0"}]]})
