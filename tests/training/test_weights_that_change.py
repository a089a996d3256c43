"""Weights that are frozen, unused, unfrozen or replaced while masks are held."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD

import rarefy
from rarefy.errors import AttachError, EvidenceError

METHODS = ["static", "set", "rigl", "snfs", "gmp"]
STEPS = 24


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "when": "every 4 until 75%", "seed": 3} | given
    if method == "static":
        words.pop("when")
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def sgd(model):
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_layer_is_left_alone(lab, method):
    model = lab.build()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    sparsifier = sparse(model, method, optimizer)
    weight, mask = model[0].weight.detach().clone(), sparsifier.masks["0.weight"]
    first = sparsifier.masks
    lab.train(
        model,
        optimizer,
        lab.batches(STEPS),
        lambda: lab.assert_zeros(sparsifier, optimizer),
    )
    if method == "gmp":  # asked is kept: it is pruned with the others, but nothing moves in it
        kept = sparsifier.masks["0.weight"]
        assert torch.equal(model[0].weight, weight.masked_fill(~kept, 0))
    else:
        assert torch.equal(sparsifier.masks["0.weight"], mask)
        assert torch.equal(model[0].weight, weight)
    if method in ("set", "rigl", "snfs"):
        assert not torch.equal(sparsifier.masks["2.weight"], first["2.weight"])
    sparsifier.check()


@pytest.mark.parametrize("method", ["rigl", "snfs"])
def test_a_layer_that_takes_no_part_is_not_exchanged(lab, method):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(12, 16), nn.Linear(12, 16)
            self.head = nn.Linear(16, 4)

        def forward(self, inputs):
            return self.head(self.used(inputs).tanh())

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Branches()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = sparse(model, method, optimizer)
    idle, mask = model.idle.weight.detach().clone(), sparsifier.masks["idle.weight"]
    lab.train(model, optimizer, lab.batches(STEPS))
    assert torch.equal(model.idle.weight, idle)
    assert torch.equal(sparsifier.masks["idle.weight"], mask)


@pytest.mark.parametrize("growth", ["none", "random"])
def test_what_was_not_measured_is_not_pruned(lab, growth):
    """A score by gradients knows nothing of a frozen layer: that is said, and nothing is lost."""
    model = lab.build()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    sparsifier = sparse(model, "gmp", optimizer, score="taylor", growth=growth)
    with pytest.raises(EvidenceError, match=r"0\.weight got no gradient in step 4.*skip="):
        lab.train(model, optimizer, lab.batches(STEPS))
    assert sparsifier.masks.sparsity == 0.0
    assert sparsifier.step == 4


def test_a_drop_by_gradients_leaves_a_frozen_layer_alone(lab):
    model = lab.build()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    sparsifier = sparse(model, "set", optimizer, score="taylor")
    first = sparsifier.masks
    lab.train(model, optimizer, lab.batches(STEPS))
    assert torch.equal(sparsifier.masks["0.weight"], first["0.weight"])
    assert not torch.equal(sparsifier.masks["2.weight"], first["2.weight"])


def test_a_layer_unfrozen_on_the_way_is_held_too(lab):
    model = lab.build()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    sparsifier = sparse(model, "rigl", optimizer)
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:7])
    model[0].requires_grad_(True)
    first = sparsifier.masks["0.weight"]
    lab.train(model, optimizer, data[7:], lambda: lab.assert_zeros(sparsifier, optimizer))
    assert not torch.equal(sparsifier.masks["0.weight"], first)
    sparsifier.check()


def test_a_replaced_weight_is_named_at_once(lab):
    model = lab.build()
    optimizer = sgd(model)
    sparsifier = sparse(model, "rigl", optimizer)
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:2])
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
    optimizer.zero_grad()
    with pytest.raises(AttachError, match=r"0\.weight.*attach\(optimizer\)"):
        optimizer.step()
    fresh = sgd(model)
    sparsifier.attach(fresh)
    lab.train(model, fresh, data[2:], lambda: lab.assert_zeros(sparsifier, fresh))
    sparsifier.check()
