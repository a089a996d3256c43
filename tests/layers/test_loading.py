"""A saved state is believed whole or not at all."""

import pytest
import torch
from torch import nn

from rarefy.errors import StateError
from rarefy.kernels import Topology
from rarefy.layers import SparseLinear


def layer(seed=0, sparsity=0.8, slack=0.1, sides=(50, 40)):
    torch.manual_seed(seed)
    return SparseLinear(*sides, sparsity=sparsity, slack=slack)


def state(**words):
    return {f"0.{name}": tensor for name, tensor in layer(seed=1, **words).state_dict().items()}


def refused(saved, words):
    model = nn.Sequential(layer())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.randn(3, 50)
    wanted = model(x)
    with pytest.raises(StateError, match=words):
        model.load_state_dict(saved)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(model(x), wanted)


def test_a_sound_state_is_loaded():
    saved, model = state(), nn.Sequential(layer())
    address = model[0].weight_topology.data_ptr()
    model.load_state_dict(saved)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, saved[name])
    assert model[0].weight_topology.data_ptr() == address


@pytest.mark.parametrize("word", [0, 3, 5, 6, 7, 8, 9])
def test_a_damaged_topology_is_refused(word):
    saved = state()
    saved["0.weight_topology"] = saved["0.weight_topology"].clone()
    saved["0.weight_topology"][word] += 9
    refused(saved, "'0.weight_topology' was not loaded: weight_topology is damaged")


def test_another_capacity_is_refused():
    refused(state(slack=0.2), r"for 480 slots, and the layer has 440.*same sparsity and slack")
    refused(state(sparsity=0.5), "A layer's slots are fixed")


def test_another_shape_is_refused():
    refused(state(sides=(40, 50)), "is of a 50 x 40 matrix, the layer's is 40 x 50")


def test_values_and_topology_belong_together():
    for gone in ("0.weight_values", "0.weight_topology"):
        saved = state()
        del saved[gone]
        refused(saved, f"without '{gone}'")
    saved = state()
    saved["0.weight_values"] = saved["0.weight_values"][:-1]
    refused(saved, r"has shape \(439,\) for 440 slots")


def test_numbers_in_padding_are_refused():
    saved = state()
    saved["0.weight_values"] = saved["0.weight_values"].clone()
    saved["0.weight_values"][-1] = 1
    refused(saved, "holds numbers in padding, from slot 400 on")


def test_a_dense_state_is_refused_with_the_way_out():
    saved = {f"0.{name}": tensor for name, tensor in nn.Linear(50, 40).state_dict().items()}
    refused(saved, "is a dense weight, and the layer is compressed")


def test_a_state_without_the_layer_is_torchs_to_judge():
    model = nn.Sequential(layer())
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({})
    assert model.load_state_dict({}, strict=False).missing_keys


@pytest.mark.parametrize("assign", [False, True])
def test_blocks_of_other_sizes_are_honoured(assign):
    saved, model = state(), nn.Sequential(layer())
    source = layer(seed=1)
    other = Topology.of_places(40, 50, source.places(), 440, (7, 32))
    saved["0.weight_topology"] = other.buffer
    saved["0.weight_values"] = other.gather(source.dense_weight())
    model.load_state_dict(saved, assign=assign)
    assert torch.equal(model[0].dense_weight(), source.dense_weight())
    x = torch.randn(3, 50)
    torch.testing.assert_close(model(x), source(x))
    change = model[0].exchanged(torch.arange(300))
    assert (change.topology.block_rows, change.topology.block_columns) == (7, 32)
    model[0].adopt(change)
    assert model[0].count() == 300
