"""Nets of every make: right at every batch, the same to look at, copied and pickled."""

import copy
import inspect
import pickle
import threading

import pytest
import torch
from torch import nn

CHAINS = {
    "mlp": 1, "lenet": 1, "resnet": 1, "encoder": 6, "lstm": 1, "tied": 1, "branch": 2, "counter": 2
}  # fmt: skip
"""Native calls of one forward pass."""

every_net = pytest.mark.parametrize("name", sorted(CHAINS))


@every_net
def test_a_net_is_right_at_every_batch_and_runs_its_chains(name, nets, chains):
    model, example = nets.made(name)
    fast = nets.fast(name)
    chains()
    for batch, length in ((1, 7), (3, 7), (5, 7)):
        inputs = example(batch, length)
        assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
        assert chains() == CHAINS[name]


@every_net
def test_other_lengths_are_right(name, nets):
    model, example = nets.made(name)
    fast = nets.fast(name)
    for batch, length in ((1, 1), (2, 13), (7, 2)):
        inputs = example(batch, length)
        assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))


@every_net
def test_it_looks_as_before(name, nets):
    model, _ = nets.made(name)
    fast = nets.fast(name)
    state = fast.state_dict()
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert all(type(value) is torch.Tensor for value in state.values())
    assert isinstance(fast, type(model))
    assert type(fast).__name__ == type(model).__name__
    assert inspect.signature(fast.forward) == inspect.signature(model.forward)
    assert [n for n, _ in fast.named_modules()] == [n for n, _ in model.named_modules()]
    assert [n for n, _ in fast.named_parameters()] == [n for n, _ in model.named_parameters()]
    assert not any(p.requires_grad for p in fast.parameters())


@every_net
def test_a_copy_and_a_pickle_are_fast_too(name, nets, chains):
    _, example = nets.made(name)
    fast = nets.fast(name)
    inputs = example(2, 7)
    wanted = nets.run(fast, inputs)
    for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        chains()
        found = nets.run(other, inputs)
        assert chains() == CHAINS[name]
        assert all(map(torch.equal, nets.tensors(found), nets.tensors(wanted)))
        assert other.record == fast.record


@every_net
def test_eight_threads_get_the_bits_of_one(name, nets):
    _, example = nets.made(name)
    fast = nets.fast(name)
    inputs = example(2, 7)
    wanted = nets.tensors(nets.run(fast, inputs))
    found = []

    def call():
        found.extend(nets.tensors(nets.run(fast, inputs)) for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(torch.equal(a, b) for outputs in found for a, b in zip(outputs, wanted, strict=True))


def test_outputs_are_fresh(nets):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    one, other = example(2, 0), example(2, 0)
    first = nets.run(fast, one)
    kept = first.clone()
    nets.run(fast, other)
    assert torch.equal(first, kept)
    first.add_(1.0)
    assert nets.same(nets.run(fast, one), nets.run(model, one))


def test_the_model_is_left_as_it_was_and_free(nets):
    model, example = nets.made("mlp")
    before = copy.deepcopy(model.state_dict())
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    wanted = nets.run(fast, inputs)
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.requires_grad
            parameter.mul_(2.0)
    assert torch.equal(nets.run(fast, inputs), wanted)
    with torch.no_grad():
        fast[0].weight.mul_(3.0)
    assert torch.equal(model[0].weight, before["0.weight"] * 2)


def test_a_single_layer_is_a_model_too(nets, chains):
    from rarefy.acceleration import accelerated

    layer = nets.pruned(nn.Linear(16, 8))
    fast = accelerated(layer, torch.randn(2, 16), stopwatch=nets.sparse_wins())
    chains()
    for shape in ((2, 16), (16,), (2, 3, 16), (2, 3, 4, 16)):
        x = torch.randn(shape)
        assert nets.same(nets.run(fast, x), nets.run(layer, x))
    assert chains() == 4
    assert nets.run(fast, torch.empty(0, 16)).shape == (0, 8)


def test_a_graph_module_runs_sparse_and_is_copied_as_the_plain_model(nets, chains):
    from rarefy.acceleration import accelerated

    model, example = nets.made("mlp")
    graph = torch.fx.symbolic_trace(model)
    fast = accelerated(graph, example(2, 0), stopwatch=nets.sparse_wins())
    inputs = example(3, 0)
    chains()
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
    assert chains() == 1
    for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert torch.allclose(nets.run(other, inputs), nets.run(model, inputs), atol=1e-5)
