"""Invariant 1: the model stays an ordinary model, whatever is done with it while it trains."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import rarefy

STEPS = 16
METHODS = ["static", "set", "rigl", "snfs", "gmp"]


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "seed": 0} | given
    if method != "static":
        words["when"] = "every 4 until 75%"
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def optimizer_of(model):
    return AdamW(model.parameters(), lr=1e-2)


@pytest.fixture(params=METHODS)
def run(request, lab):
    model = lab.build()
    optimizer = optimizer_of(model)
    return model, optimizer, sparse(model, request.param, optimizer)


def test_keys_and_leaves_are_those_of_the_dense_model(lab, run):
    model, optimizer, _ = run
    lab.train(model, optimizer, lab.batches(6))
    dense = lab.build()
    assert list(model.state_dict()) == list(dense.state_dict())
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in dense.named_parameters()]
    assert not list(model.buffers())
    for weight in model.parameters():
        assert type(weight) is nn.Parameter
        assert weight.is_leaf
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not nn.utils.parametrize.is_parametrized(module)


def test_deepcopy_is_a_model_of_its_own(lab, run):
    model, optimizer, sparsifier = run
    lab.train(model, optimizer, lab.batches(6))
    twin = copy.deepcopy(model)
    weights = {name: weight.detach().clone() for name, weight in twin.named_parameters()}
    lab.train(model, optimizer, lab.batches(6))
    for name, weight in twin.named_parameters():
        assert torch.equal(weight, weights[name])
    plain = SGD(twin.parameters(), lr=0.1)
    masks = sparsifier.masks
    lab.train(twin, plain, lab.batches(6))
    assert twin[0].weight.all()
    assert sparsifier.masks is masks
    sparsifier.check()


def test_a_whole_model_is_saved_and_loaded(lab, run):
    model, optimizer, sparsifier = run
    lab.train(model, optimizer, lab.batches(6))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert lab.same_bits(one, other)
    held = rarefy.hold(again)
    for name, mask in sparsifier.masks.items():
        assert not (held.masks[name] & ~mask).any()
    del held


def test_a_dense_model_takes_the_weights_and_gives_them_back(lab, run):
    model, optimizer, sparsifier = run
    data = lab.batches(12)
    lab.train(model, optimizer, data[:6])
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    dense = lab.build(5)
    dense.load_state_dict(torch.load(file, weights_only=True), strict=True)
    inputs = data[0][0]
    assert torch.equal(dense(inputs), model(inputs))
    model.load_state_dict(lab.build(5).state_dict())  # somebody else's: its zeros are ours
    lab.train(model, optimizer, data[6:], lambda: lab.assert_zeros(sparsifier, optimizer))


def test_new_parameters_by_assignment(lab, run):
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:6])
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
    fresh = optimizer_of(model)
    fresh.load_state_dict(optimizer.state_dict())
    sparsifier.attach(fresh)
    lab.train(model, fresh, data[6:], lambda: lab.assert_zeros(sparsifier, fresh))
    sparsifier.check()
    assert sparsifier.step == STEPS


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_model_changes_its_dtype_in_mid_run(lab, run, dtype):
    model, optimizer, sparsifier = run
    lab.train(model, optimizer, lab.batches(6))
    model.to(dtype)
    optimizer.load_state_dict(optimizer.state_dict())  # casts the moments as well

    for batch in lab.batches(10, dtype=dtype):
        optimizer.zero_grad()
        lab.backward(model, batch)
        if not sparsifier.dense_wanted:  # the hooks on the weights have moved along
            for name, weight in sparsifier.weights().items():
                assert not weight.grad[~sparsifier.masks[name]].any()
        optimizer.step()
        lab.assert_zeros(sparsifier, optimizer)
    sparsifier.check()
    assert model[0].weight.dtype == dtype


def test_gradients_zeroed_in_place(lab, run):
    model, optimizer, sparsifier = run
    for batch in lab.batches(STEPS):
        optimizer.zero_grad(set_to_none=False)
        lab.backward(model, batch)
        optimizer.step()
        lab.assert_zeros(sparsifier, optimizer)
    other = lab.build()
    plain = optimizer_of(other)
    sparse(other, sparsifier.method, plain)
    lab.train(other, plain, lab.batches(STEPS))
    for one, wanted in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, wanted)
