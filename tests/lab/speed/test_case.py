"""Layers to be timed: exact counts, the same from the same seed."""

import pytest
import torch

from rarefy.lab.speed import conv, linear


def kept(weight):
    return int((weight != 0).sum())


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(("sparsity", "wanted"), [(0.0, 480), (0.5, 240), (0.9, 48), (0.999, 0)])
def test_a_linear_has_exactly_the_weights_asked_for(sparsity, wanted, skewed):
    model, example = linear(20, 24, 3, sparsity=sparsity, skewed=skewed)
    assert model.weight.shape == (20, 24)
    assert kept(model.weight) == wanted
    assert example.shape == (3, 24)
    assert not model.training


def test_a_convolution_too_and_it_keeps_the_side():
    model, example = conv(6, 4, 3, 7, 2, sparsity=0.75)
    assert kept(model.weight) == 54
    assert model(example).shape == (2, 6, 7, 7)


def test_a_chain_has_relu_between_its_layers():
    model, example = linear(8, 8, 2, layers=3)
    assert [type(layer).__name__ for layer in model] == [
        "Linear", "ReLU", "Linear", "ReLU", "Linear",
    ]  # fmt: skip
    assert model(example).shape == (2, 8)


def test_the_same_seed_gives_the_same_and_leaves_torchs_alone():
    state = torch.get_rng_state()
    (one, x), (two, y), (three, _) = (linear(9, 7, 2, sparsity=0.5, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(x, y)
    assert not torch.equal(one.weight, three.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_skewed_rows_are_less_equal_than_random_ones():
    spread = {
        skewed: (linear(200, 200, 1, sparsity=0.9, skewed=skewed)[0].weight != 0)
        .sum(1)
        .float()
        .std()
        for skewed in (False, True)
    }
    assert spread[True] > 2 * spread[False]


def test_outputs_are_as_large_whatever_is_removed():
    for sparsity in (0.0, 0.9):
        model, example = linear(256, 256, 64, sparsity=sparsity)
        assert 1.0 < float(model(example).detach().std()) < 2.0
