"""The copy borrows weights and then owns them; the model it was made from never changes."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._copy import copied, own, refuse
from rarefy.errors import TargetError


@pytest.fixture
def model():
    """With tied weights, buffers, an attribute on a parameter, and gradients."""
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    net[0].weight.note = "kept"
    net(torch.ones(3, 4)).sum().backward()
    return net


def test_parameters_are_borrowed_frozen_and_without_gradients(model):
    fast = copied(model)
    for ours, theirs in zip(fast.parameters(), model.parameters(), strict=True):
        assert ours is not theirs
        assert ours.data_ptr() == theirs.data_ptr()
        assert (ours.requires_grad, ours.grad) == (False, None)
        assert theirs.requires_grad
        assert theirs.grad is not None
    assert fast[0].weight is fast[2].weight
    assert fast[0].weight.note == "kept"
    assert model.training
    assert not any(module.training for module in fast.modules())


def test_buffers_are_its_own(model):
    fast = copied(model)
    before = model[1].running_mean.clone()
    fast.train()(torch.randn(5, 4) + 9)
    assert torch.equal(model[1].running_mean, before)
    assert not torch.equal(fast[1].running_mean, before)


def test_owned_weights_are_no_longer_those_of_the_model(model):
    fast = copied(model)
    own(fast)
    with torch.no_grad():
        model[0].weight.zero_()
    assert fast[0].weight.abs().sum() > 0
    assert fast[0].weight is fast[2].weight
    assert fast[0].weight.note == "kept"
    assert not fast[0].weight.requires_grad


def test_inference_tensors_become_plain_ones():
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    fast = copied(model)
    assert not any(t.is_inference() for t in fast.state_dict().values())


class Stubborn(nn.Module):
    """Cannot be copied."""

    def __deepcopy__(self, memo):
        raise RuntimeError("only one of me")


def test_a_model_that_cannot_be_copied_says_why():
    with pytest.raises(TargetError, match=r"Stubborn cannot be copied .*only one of me"):
        copied(Stubborn())


def test_models_that_have_no_values_here_are_refused():
    for model, why in (
        (nn.Linear(2, 2, device="meta"), "weight has no values"),
        (nn.LazyLinear(2), "weight has no shape yet"),
    ):
        with pytest.raises(TargetError, match=why):
            refuse(model)
    refuse(nn.Linear(2, 2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_models_are_refused():
    with pytest.raises(TargetError, match="ScriptModule"):
        copied(torch.jit.script(nn.Linear(2, 2)))
