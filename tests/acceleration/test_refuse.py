"""A gradient that reaches an accelerated model raises with the way out."""

import copy

import pytest
import torch
from torch import nn

from rarefy.acceleration._refuse import refuse_backward
from rarefy.errors import AttachError


@pytest.fixture
def module():
    made = nn.ReLU()
    made._rarefy_was_trainable = True
    return made


def test_backward_of_an_accelerated_model_raises(mlp, x, hastened):
    fast = hastened(mlp, x)
    with pytest.raises(AttachError, match="accelerate it again"):
        fast(x).sum().backward()


def test_a_layer_behind_it_would_be_trained_alone_and_is_not(mlp, x, hastened):
    head = nn.Linear(4, 2)
    with pytest.raises(AttachError):
        head(hastened(mlp, x)(x)).sum().backward()
    with torch.no_grad():
        middle = hastened(copy.deepcopy(mlp), x)(x)
    head(middle).sum().backward()  # the way out that the message names
    assert head.weight.grad is not None


def test_every_fresh_float_of_a_structure_is_marked_and_its_values_stay(module):
    output = {"a": torch.ones(2), "b": (torch.zeros(1), 7, torch.tensor([1, 2]))}
    found = refuse_backward(module, output, (), {})
    assert found["a"].requires_grad
    assert found["b"][0].requires_grad
    assert found["a"].tolist() == [1, 1]
    assert found["b"][1] == 7
    assert not found["b"][2].requires_grad


def test_what_is_the_callers_or_a_view_is_left_alone(module):
    given, view = torch.ones(2), torch.ones(4)[:2]
    assert refuse_backward(module, given, (given,), {}) is given
    assert refuse_backward(module, given, (), {"x": [given]}) is given
    assert not given.requires_grad
    assert refuse_backward(module, view, (), {}) is view


def test_without_gradients_or_without_trainable_weights_nothing_is_marked(module):
    with torch.no_grad():
        assert not refuse_backward(module, torch.ones(2), (), {}).requires_grad
    assert not refuse_backward(nn.ReLU(), torch.ones(2), (), {}).requires_grad


def test_a_model_that_was_frozen_is_answered_as_before(mlp, x, hastened):
    mlp.requires_grad_(False)
    assert not hastened(mlp, x)(x).requires_grad
