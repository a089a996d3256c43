"""Loops as people write them: closures, accumulation, clipping."""

import pytest
import torch
from torch.optim import LBFGS, SGD, AdamW

import rarefy

METHODS = ["static", "set", "rigl", "snfs", "gmp"]
STEPS = 24
STEADY = rarefy.growth.Gradient(decay="constant")  # so that no exchange rounds to nothing


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "when": "every 4 until 75%", "seed": 3} | given
    if method == "static":
        words.pop("when")
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def sgd(model):
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def plain(lab, method, make=sgd, data=None):
    model = lab.build()
    optimizer = make(model)
    sparsifier = sparse(model, method, optimizer)
    lab.train(model, optimizer, data or lab.batches(STEPS))
    return model, sparsifier


# -- closures


@pytest.mark.parametrize("keyword", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_closure_is_the_same_run(lab, method, keyword):
    model = lab.build()
    optimizer = sgd(model)
    sparsifier = sparse(model, method, optimizer)
    for batch in lab.batches(STEPS):

        def closure(batch=batch):
            optimizer.zero_grad()
            return lab.backward(model, batch)

        loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
        assert loss.dim() == 0  # what the closure gave, as without us
    reference, same = plain(lab, method)
    lab.assert_same_run(sparsifier, same)
    del reference


def test_gradients_are_live_only_in_every_evaluation_of_a_closure(lab):
    model = lab.build()
    optimizer = LBFGS(model.parameters(), max_iter=5)
    sparsifier = sparse(model, "static", optimizer)
    batch = lab.batches(1)[0]
    evaluations = []

    def closure():
        optimizer.zero_grad()
        loss = lab.backward(model, batch)
        for name, weight in sparsifier.weights().items():
            assert not weight.grad[~sparsifier.masks[name]].any()
        evaluations.append(loss.item())
        return loss

    optimizer.step(closure)
    assert len(evaluations) > 1
    assert sparsifier.step == 1


# -- accumulation and clipping


def test_dead_gradients_are_masked_as_they_arrive(lab):
    model = lab.build()
    sparsifier = sparse(model, "rigl", sgd(model))
    lab.backward(model, lab.batches(1)[0])
    for name, weight in sparsifier.weights().items():
        assert not weight.grad[~sparsifier.masks[name]].any()
        assert weight.grad[sparsifier.masks[name]].any()


@pytest.mark.parametrize("none", [True, False])
def test_growth_sees_the_sum_over_micro_batches(lab, none):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = sparse(model, "rigl", optimizer, growth=STEADY)
    data = lab.batches(10)
    lab.train(model, optimizer, data[:4])
    optimizer.zero_grad(set_to_none=none)
    before = {name: mask.clone() for name, mask in sparsifier.masks.items()}
    weights = {name: weight.detach().clone() for name, weight in sparsifier.weights().items()}
    wanted = lab.dense_gradients(model, *data[4:7])
    for batch in data[4:7]:
        lab.backward(model, batch)
    optimizer.step()
    for name, mask in sparsifier.masks.items():
        # every arrival has a larger summed gradient than every place that stayed empty
        arrivals = mask & ~before[name]
        empty = ~mask
        assert arrivals.any()
        assert wanted[name].abs()[arrivals].min() >= wanted[name].abs()[empty].max()
        # nothing moved: no step was taken
        stayed = mask & before[name]
        assert torch.equal(model.get_parameter(name)[stayed], weights[name][stayed])
        # the gradients are back where the loop left them
        assert torch.equal(model.get_parameter(name).grad, wanted[name])


@pytest.mark.parametrize("method", METHODS)
def test_clipping_sees_the_norm_of_the_live_weights(lab, method):
    model = lab.build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    sparsifier = sparse(model, method, optimizer)
    exchanges = 0
    for batch in lab.batches(STEPS):
        optimizer.zero_grad()
        dense = lab.dense_gradients(model, batch)
        live = {
            name: gradient.masked_fill(~sparsifier.masks[name], 0)
            if name in sparsifier.masks
            else gradient
            for name, gradient in dense.items()
        }
        due = sparsifier.dense_wanted
        exchanges += due
        wanted = torch.nn.utils.get_total_norm((dense if due else live).values())
        lab.backward(model, batch)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        assert torch.equal(norm, wanted)
        optimizer.step()
        lab.assert_zeros(sparsifier, optimizer)
    assert exchanges == (4 if method == "rigl" else 0)
