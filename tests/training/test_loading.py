"""Weights that do not belong to the loaded masks are caught, in whatever order they came."""

import copy

import pytest
import torch
from torch.optim import SGD, AdamW

import rarefy
from rarefy.errors import InvariantError

STEPS = 24


def make(lab, method="snfs", *, seed=0, optimizer=SGD, **given):
    model = lab.build()
    words = {"steps": STEPS, "seed": seed, "when": "every 4 until 75%"} | given
    if method == "static":
        words.pop("when")
    trains = optimizer(model.parameters(), lr=0.05)
    sparsity = words.pop("sparsity", 0.7)
    return model, trains, rarefy.sparsify(model, sparsity, method, optimizer=trains, **words)


@pytest.mark.parametrize("method", ["rigl", "set", "snfs"])
def test_weights_loaded_before_sparsify_are_caught(lab, method):
    model, optimizer, sparsifier = make(lab, method)
    data = lab.batches(12)
    lab.train(model, optimizer, data[:10])
    weights, state = copy.deepcopy(model.state_dict()), sparsifier.state_dict()
    late = lab.build(3)
    late.load_state_dict(weights)
    trains = SGD(late.parameters(), lr=0.05)
    again = rarefy.sparsify(
        late, 0.7, method, optimizer=trains, steps=STEPS, when="every 4 until 75%", seed=0
    )
    again.load_state_dict(state)
    with pytest.raises(InvariantError, match=r"loaded before rarefy\.sparsify"):
        again.check()
    lab.backward(late, data[10])
    with pytest.raises(InvariantError, match="call sparsify first"):
        trains.step()
    late.load_state_dict(weights)  # the way out
    trains.step()
    again.check()


@pytest.mark.parametrize("method", ["static", "rigl", "gmp"])
def test_weights_not_loaded_at_all_are_caught(lab, method):
    model, optimizer, sparsifier = make(lab, method, seed=0)
    lab.train(model, optimizer, lab.batches(10))
    fresh, trains, again = make(lab, method, seed=1)
    again.load_state_dict(sparsifier.state_dict())
    lab.backward(fresh, lab.batches(1)[0])
    with pytest.raises(InvariantError, match="or not at all"):
        trains.step()
    assert again.step == 10


def test_a_mask_with_a_wrong_bit_is_caught_by_the_weights(lab):
    model, optimizer, sparsifier = make(lab, "static", optimizer=AdamW)
    lab.train(model, optimizer, lab.batches(3))
    state = sparsifier.state_dict()
    living = state["masks"]["0.weight"]["bits"].nonzero()[0]
    state["masks"]["0.weight"]["bits"][living] &= state["masks"]["0.weight"]["bits"][living] - 1
    sparsifier.load_state_dict(state)
    with pytest.raises(InvariantError, match="1 of them removed by the loaded masks"):
        sparsifier.check()


def test_loading_in_any_other_order_is_right(lab):
    """After sparsify: model, optimizer and Sparsifier in any order."""
    model, optimizer, sparsifier = make(lab, "rigl", optimizer=AdamW)
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:9])
    states = [copy.deepcopy(each.state_dict()) for each in (model, optimizer, sparsifier)]
    lab.train(model, optimizer, data[9:])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        parts = make(lab, "rigl", seed=order[0], optimizer=AdamW)
        for place in order:
            # a copy: what an optimizer loads it goes on to write into
            parts[place].load_state_dict(copy.deepcopy(states[place]))
        parts[2].check()
        lab.train(parts[0], parts[1], data[9:])
        for one, wanted in zip(parts[0].parameters(), model.parameters(), strict=True):
            assert torch.equal(one, wanted)


def test_prune_right_after_loading(lab):
    model, optimizer, sparsifier = make(lab, "static")
    lab.train(model, optimizer, lab.batches(3))
    states = copy.deepcopy(model.state_dict()), sparsifier.state_dict()
    other, trains, again = make(lab, "static", seed=3)
    other.load_state_dict(states[0])
    again.load_state_dict(states[1])
    again.prune(0.9)
    lab.train(other, trains, lab.batches(2))
    assert again.masks.kept == 39
