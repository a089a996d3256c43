"""The weak table from models to Sparsifiers."""

import copy
import gc
from weakref import ref

import pytest
import torch
from torch import nn
from torch.optim import AdamW

import rarefy
from rarefy.errors import TargetError
from rarefy.training import masks_of, sparsifier_of


def test_found_under_wrappers(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    assert sparsifier_of(model) is sparsifier
    assert sparsifier_of(torch.compile(model, backend="eager")) is sparsifier
    assert sparsifier_of(nn.DataParallel(model)) is sparsifier
    assert sparsifier_of(copy.deepcopy(model)) is None
    sparsifier.detach()
    assert sparsifier_of(model) is None


@pytest.mark.parametrize("method", ["static", "rigl", "snfs"])
def test_nothing_keeps_a_model_alive(lab, method):
    model = lab.build()
    optimizer = AdamW(model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.5, method, optimizer=optimizer, steps=100, when=None, seed=0
    )
    lab.train(model, optimizer, lab.batches(3))
    watched = [ref(model), ref(model[0].weight), ref(sparsifier), ref(optimizer)]
    del model
    gc.collect()
    assert watched[0]() is None
    assert "Sparsifier(" in repr(sparsifier)
    del sparsifier, optimizer
    gc.collect()
    assert [each() for each in watched] == [None] * 4


def test_the_sparsifier_lives_as_long_as_its_model(lab):
    model = lab.build()
    optimizer = AdamW(model.parameters())
    watched = ref(rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, seed=0))
    gc.collect()
    lab.train(model, optimizer, lab.batches(2))  # nobody kept it, and it holds all the same
    lab.assert_zeros(watched(), optimizer)


def test_the_mask_is_the_truth_while_a_sparsifier_drives(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    mask = sparsifier.masks["0.weight"]
    place = tuple(mask.nonzero()[0].tolist())
    with torch.no_grad():
        model[0].weight[place] = 0.0
    assert masks_of(model)["0.weight"][place]
    assert not masks_of(copy.deepcopy(model))["0.weight"][place]
    assert torch.equal(masks_of(copy.deepcopy(model))["2.weight"], sparsifier.masks["2.weight"])
    sparsifier.detach()
    assert not masks_of(model)["0.weight"][place]


def test_two_models_share_nothing(lab):
    one, other = lab.build(), lab.build(1)
    first = rarefy.sparsify(one, 0.5)
    second = rarefy.sparsify(other, 0.9)
    assert sparsifier_of(one) is first
    assert sparsifier_of(other) is second
    assert (first.masks.kept, second.masks.kept) == (196, 39)


def test_a_model_without_weights_is_refused():
    with pytest.raises(TargetError):
        masks_of(nn.Sequential(nn.Tanh()))
