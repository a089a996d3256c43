"""Holding zeros that are there, or masks of one's own."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import TargetError
from rarefy.training import sparsifier_of


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


def train(model, optimizer, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 6)).square().mean().backward()
        optimizer.step()


def test_the_zeros_that_are_there_stay():
    model = net()
    with torch.no_grad():
        model[0].weight[:, ::2] = 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    sparsifier = rarefy.hold(model, optimizer=optimizer)
    train(model, optimizer)
    assert not model[0].weight[:, ::2].any()
    assert model[0].weight[:, 1::2].all()
    assert sparsifier.masks["2.weight"].all()
    assert sparsifier.sparsity == pytest.approx(15 / 50)
    assert (sparsifier.method, sparsifier.words["when"]) == ("hold", "once")


def test_nothing_changes_at_first():
    model, before = net(), net()
    rarefy.hold(model)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True)
    )


def test_masks_of_ones_own_are_applied_and_nothing_else_is_held():
    model = net()
    with torch.no_grad():
        model[0].weight.zero_()
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[1] = True
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.hold(model, optimizer=optimizer, masks={"2.weight": mask})
    assert list(sparsifier.masks) == ["2.weight"]
    assert torch.equal(model[2].weight != 0, mask)
    train(model, optimizer)
    assert model[0].weight.any(), "it had zeros, but was not given"
    assert torch.equal(model[2].weight != 0, mask)


def test_a_kept_zero_may_grow():
    model = net()
    with torch.no_grad():
        model[2].weight.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rarefy.hold(model, optimizer=optimizer, masks={"2.weight": torch.ones(4, 5).bool()})
    model(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    assert model[2].weight.any()


def test_an_embedding_can_be_held_by_name():
    model = nn.Sequential(nn.Embedding(4, 3))
    mask = torch.rand(4, 3) > 0.5
    rarefy.hold(model, masks={"0.weight": mask})
    assert torch.equal(model[0].weight != 0, mask)


@pytest.mark.parametrize("name", ["0.weight", "1.weight"])
def test_a_tied_weight_is_held_by_either_name(name):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    mask = torch.eye(3).bool()
    sparsifier = rarefy.hold(model, masks={name: mask})
    assert torch.equal(sparsifier.masks["0.weight"], mask)
    assert torch.equal(model[1].weight != 0, mask)


def test_two_masks_of_one_tied_weight_must_agree():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    mask = torch.eye(3).bool()
    rarefy.hold(model, masks={"0.weight": mask, "1.weight": mask.clone()})
    with pytest.raises(TargetError, match=r"0\.weight, 1\.weight are one tied weight"):
        rarefy.hold(model, masks={"0.weight": mask, "1.weight": ~mask})


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch.compile's own
def test_the_masks_of_a_sparsifier_fit_a_wrapped_copy():
    model = net()
    masks = rarefy.sparsify(model, 0.5).masks
    other = net()
    other[2] = torch.compile(other[2])
    for wrapped in (other, nn.DataParallel(net()), torch.compile(net())):
        held = rarefy.hold(wrapped, masks=masks)
        assert all(torch.equal(held.masks[name], masks[name]) for name in masks)


def test_after_one_shot_training_can_begin():
    model = net()
    rarefy.sparsify(model, 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    held = rarefy.hold(model, optimizer=optimizer)
    train(model, optimizer)
    held.check()
    assert held.masks.kept == 25
    assert sparsifier_of(model) is held


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    torch.manual_seed(5)
    model = nn.Linear(3, 3)
    state = torch.get_rng_state()
    rarefy.hold(model)
    assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(before)
