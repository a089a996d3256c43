"""Static: a random mask that never changes."""

import torch
from torch import nn

import rarefy


def run(seed, steps=20):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.75, "static", optimizer=optimizer, seed=seed)
    first = {name: sparsifier.masks[name] for name in sparsifier.masks}
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(5, 8)).square().mean().backward()
        optimizer.step()
    return first, sparsifier


def test_the_mask_is_the_same_before_and_after_training():
    first, sparsifier = run(seed=1)
    assert all(torch.equal(sparsifier.masks[name], first[name]) for name in first)
    assert sparsifier.step == 20


def test_it_follows_from_the_seed_alone():
    one, _ = run(seed=1, steps=1)
    again, _ = run(seed=1, steps=1)
    other, _ = run(seed=2, steps=1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_weights_do_not_matter():
    model, ones = nn.Linear(8, 8), nn.Linear(8, 8)
    nn.init.ones_(ones.weight)
    one = rarefy.sparsify(model, 0.75, "static", seed=3).masks["weight"]
    assert torch.equal(one, rarefy.sparsify(ones, 0.75, "static", seed=3).masks["weight"])


def test_the_thin_layer_stays_denser():
    _, sparsifier = run(seed=1, steps=1)
    wide, thin = (sparsifier.masks[name].float().mean() for name in sparsifier.masks)
    assert thin > wide
