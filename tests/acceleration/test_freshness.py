"""Weights that change after accelerating: the answer is that of the new weights, or as promised."""

import copy
import warnings

import pytest
import torch
from torch import nn

from rarefy.acceleration._swap import lane_of

DOUBLED = "doubled"


def doubled(state):
    return {n: v * 2 if v.is_floating_point() else v for n, v in state.items()}


def load(net):
    net.load_state_dict(doubled(net.state_dict()))


def assign(net):
    net.load_state_dict(doubled(net.state_dict()), assign=True)


def load_a_child(net):
    net[0].load_state_dict(doubled(net[0].state_dict()))


def write_weight(net):
    net[0].weight.mul_(2.0)


def write_bias(net):
    net[0].bias.mul_(2.0)


def write_weight_through_data(net):
    net[0].weight.data.mul_(2.0)


def give_data(net):
    net[0].weight.data = net[0].weight.detach() * 2


def give_bias_data(net):
    net[0].bias.data = net[0].bias.detach() * 2


def new_parameter(net):
    net[0].weight = nn.Parameter(net[0].weight.detach() * 2)


def new_layer(net):
    fresh = nn.Linear(8, 16)
    nn.init.ones_(fresh.weight)
    nn.init.zeros_(fresh.bias)
    net[0] = fresh


def to_bfloat16(net):
    net.to(torch.bfloat16)


def to_double(net):
    net.double()


LOUD = (
    load_a_child, write_weight, write_bias, write_weight_through_data, give_data, give_bias_data,
    new_parameter, new_layer, to_bfloat16, to_double,
)  # fmt: skip
SILENT = (load, assign)


@pytest.mark.parametrize("change", LOUD, ids=lambda f: f.__name__)
def test_a_change_is_told_once_and_the_answer_is_that_of_the_new_weights(change, nets):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    with torch.no_grad():
        change(fast)
        change(model)
    inputs = example(3, 0).to(next(model.parameters()).dtype)
    with pytest.warns(UserWarning, match=r"0.* changed after rarefy.accelerate"):
        found = nets.run(fast, inputs)
    assert nets.same(found, nets.run(model, inputs), rtol=1e-2)
    assert not lane_of(fast).packs.fresh(fast)
    nets.run(fast, inputs)  # a second warning would be an error


@pytest.mark.parametrize("change", SILENT, ids=lambda f: f.__name__)
def test_a_loaded_state_is_packed_and_runs_sparse(change, nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    change(fast)
    change(model)
    inputs = example(3, 0)
    chains()
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
    assert chains() == 1
    assert nets.same(fast.state_dict()["0.weight"], model.state_dict()["0.weight"])


def test_a_swap_for_one_call_is_dense_for_one_call(nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    twice = {name: p * 2 for name, p in model.named_parameters()}
    chains()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.func.functional_call(fast, twice, (inputs,))
        assert nets.same(found, torch.func.functional_call(model, twice, (inputs,)))
        assert chains() != 1
        assert nets.same(fast(inputs), model(inputs))
        assert chains() == 1


def test_what_changes_nothing_stays_sparse(nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    with torch.no_grad():
        fast[0].bias.copy_(fast[0].bias.clone())
        fast[3].weight.copy_(fast[3].weight.clone())
    fast.to("cpu").float().share_memory().eval()
    inputs = example(2, 0)
    chains()
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
    assert chains() == 1


def test_weights_that_come_back_run_sparse_again(nets, chains):
    _, example = nets.made("mlp")
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    wanted = nets.run(fast, inputs)
    kept = fast[3].bias.clone()
    with torch.no_grad():
        fast[3].bias.zero_()
        with pytest.warns(UserWarning, match=r"3\.bias changed"):
            fast(inputs)
        fast[3].bias.copy_(kept)
    chains()
    assert torch.equal(nets.run(fast, inputs), wanted)
    assert chains() == 1


def test_running_statistics_are_seen_by_their_counter(nets, chains):
    model, example = nets.made("resnet")
    fast = nets.fast("resnet")
    inputs = example(2, 0)
    images = torch.randn(4, 8, 5, 5) * 3
    with torch.no_grad():
        for net in (model, fast):
            net[1].train()
            net[1](images)
            net[1].eval()
    chains()
    with pytest.warns(UserWarning, match=r"1\.\w+ and . more changed|1\.\w+ changed"):
        found = nets.run(fast, inputs)
    assert nets.same(found, nets.run(model, inputs))
    assert chains() == 8  # the convolutions, one by one


def test_statistics_that_are_loaded_are_packed(nets, chains):
    model, example = nets.made("resnet")
    fast = nets.fast("resnet")
    state = doubled(model.state_dict())
    model.load_state_dict(state)
    fast.load_state_dict(state)
    inputs = example(2, 0)
    chains()
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
    assert chains() == 1


def test_a_model_of_token_ids_that_was_converted_does_not_run_on_old_weights(nets, chains):
    model, example = nets.made("tied")
    fast = nets.fast("tied")
    fast.to(torch.bfloat16)
    model.to(torch.bfloat16)
    inputs = example(2, 5)
    chains()
    with pytest.warns(UserWarning, match="changed after rarefy.accelerate"):
        found = nets.run(fast, inputs)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, nets.run(model, inputs))
    assert chains() == 0


def test_a_copy_of_a_changed_model_is_packed_as_it_is(nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    with torch.no_grad():
        fast[0].bias.add_(1.0)
        model[0].bias.add_(1.0)
    inputs = example(2, 0)
    with pytest.warns(UserWarning, match=r"0\.bias changed"):
        nets.run(fast, inputs)
    other = copy.deepcopy(fast)
    chains()
    assert nets.same(nets.run(other, inputs), nets.run(model, inputs))
    assert chains() == 1


def test_the_hole_that_is_known(nets):
    """A bias written to through ``.data`` leaves no trace; the docs say so."""
    _, example = nets.made("mlp")
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    before = nets.run(fast, inputs)
    fast[0].bias.data.add_(1.0)
    assert lane_of(fast).packs.fresh(fast)
    assert torch.equal(nets.run(fast, inputs), before)


def test_a_loaded_state_reaches_compiled_code(nets):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    inputs = example(2, 0)
    assert nets.same(nets.run(compiled, inputs), nets.run(model, inputs))
    load(fast)
    load(model)
    assert nets.same(nets.run(compiled, inputs), nets.run(model, inputs))
    torch._dynamo.reset()
