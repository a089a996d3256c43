"""Bytes of training, counted by hand."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.metrics import training_bytes


def trained(storage, method="static"):
    """A 20 x 30 weight and its bias after two steps of AdamW, half of the weight removed."""
    model = nn.Sequential(nn.Linear(30, 20))
    optimizer = torch.optim.AdamW(model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.5, method, optimizer=optimizer, steps=40, storage=storage, seed=0
    )
    for _ in range(2):
        model(torch.ones(4, 30)).square().mean().backward()
        optimizer.step()
    return model, optimizer, sparsifier


def test_masked_training_is_dense_and_has_its_masks_beside_it():
    model, _, sparsifier = trained("masked")
    held = training_bytes(sparsifier)
    assert (held.weights, held.gradients, held.topology) == (4 * 620, 4 * 620, 600)
    assert held.state == 2 * 4 * 620 + 2 * 4  # two moments, and a step for each of two tensors
    assert held.dense == held.total - 600
    assert held.share > 1
    assert model[0].weight.numel() == 600


def test_compressed_training_holds_what_lives_and_where():
    model, optimizer, sparsifier = trained("compressed")
    held = training_bytes(sparsifier)
    assert (held.weights, held.gradients) == (4 * 320, 4 * 320)
    assert held.state == 2 * 4 * 320 + 2 * 4
    assert held.topology == model[0].weight_topology.nbytes
    assert held.dense == 3 * 4 * 620 + 4 * 620 + 2 * 4
    assert held.share == pytest.approx(held.total / held.dense)
    assert training_bytes(model, optimizer) == held
    assert training_bytes(model, [optimizer]) == held


def test_a_frozen_weight_has_no_gradient_and_a_tied_one_counts_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert training_bytes(model).gradients == 64
    model[0].weight.requires_grad_(False)
    held = training_bytes(model)
    assert (held.weights, held.gradients, held.state, held.share) == (64, 0, 0, 1.0)
