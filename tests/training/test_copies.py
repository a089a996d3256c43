"""Copies of an optimizer, and a Sparsifier that is superseded, copied, or ended too early."""

import copy
import pickle

import pytest
import torch
from torch.optim import SGD, Adam

import rarefy
from rarefy.errors import AttachError, InvariantError


def _rebuilt(optimizer):
    again = type(optimizer)(list(optimizer.param_groups[0]["params"]), lr=1e-2)
    again.load_state_dict(optimizer.state_dict())
    return again


def _of_the_same_parameters(copied):
    def made(optimizer):
        again = copied(optimizer)
        again.param_groups[0]["params"] = list(optimizer.param_groups[0]["params"])
        return again

    return made


WAYS = {
    "copy": copy.copy,
    "deepcopy": _of_the_same_parameters(copy.deepcopy),
    "pickle": _of_the_same_parameters(lambda optimizer: pickle.loads(pickle.dumps(optimizer))),
    "rebuilt": _rebuilt,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_steps_of_a_copy_are_noticed_however_it_was_made(lab, kind, way):
    model = lab.build()
    optimizer = kind(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(model, 0.5, "rigl", optimizer=optimizer, steps=20, seed=0)
    data = lab.batches(6)
    lab.train(model, optimizer, data[:3])
    sparsifier.check()
    lab.train(model, way(optimizer), data[3:])
    with pytest.raises(AttachError, match=r"attach\(optimizer\)"):
        sparsifier.check()


def test_a_ramp_that_did_not_land_is_not_finalized(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(model, 0.9, "gmp", optimizer=optimizer, steps=100)
    lab.train(model, optimizer, lab.batches(30))
    with pytest.raises(InvariantError, match=r"ramp ends at step 75 and only 30 .*prune\(0\.9\)"):
        sparsifier.finalize()
    assert sparsifier.attached
    sparsifier.prune(0.9)
    sparsifier.finalize()


def test_a_superseded_sparsifier_keeps_its_hands_off(lab):
    model = lab.build()
    first = rarefy.sparsify(model, 0.5)
    optimizer = SGD(model.parameters(), lr=1e-2)
    second = rarefy.sparsify(model, 0.8, "static", optimizer=optimizer)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for call in (first.check, lambda: first.prune(0.95), first.finalize):
        with pytest.raises(AttachError, match="another Sparsifier"):
            call()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    second.check()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_sparsifier_is_not_copied(lab, copied):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    with pytest.raises(AttachError, match="cannot be copied or pickled"):
        copied(sparsifier)
