"""The meter sees every part, changes nothing, and is gone afterwards. Tests never time."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import AttachError
from rarefy.metrics import TrainingMeter, training_bytes


def net(method="rigl", storage="masked", steps=40):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 10))
    optimizer = torch.optim.AdamW(model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.7, method, optimizer=optimizer, steps=steps, storage=storage, seed=0
    )
    return model, optimizer, sparsifier


def train(model, optimizer, steps=12):
    inputs = torch.ones(4, 30)
    for _ in range(steps):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("storage", ["masked", "compressed"])
@pytest.mark.parametrize("method", ["rigl", "set"])
def test_every_part_is_seen(method, storage):
    model, optimizer, sparsifier = net(method, storage)
    with TrainingMeter(sparsifier) as meter:
        assert meter.found is None
        train(model, optimizer)
    found = meter.found
    assert found.steps == 12
    assert set(found.parts) == {"forward", "backward", "optimizer", "holding", "other"}
    assert all(0 <= low <= mid <= high for low, mid, high in (found.whole, *found.parts.values()))
    changes = sum("churn" in record for record in sparsifier.history)
    assert found.update_count == changes > 0
    assert found.update_in_steps > 0
    assert found.bytes == training_bytes(sparsifier)
    assert [window["step"] for window in found.curve] == [float(n) for n in range(1, 13)]
    total = sum(sum(w[part] for part in w if part != "step") for w in found.curve)
    assert total >= found.whole[1]


@pytest.mark.parametrize("storage", ["masked", "compressed"])
def test_it_changes_nothing_and_leaves_nothing_behind(storage):
    alone = train(*net(storage=storage)[:2])
    model, optimizer, sparsifier = net(storage=storage)
    own, hooks = set(vars(sparsifier)), len(optimizer._optimizer_step_post_hooks)
    with TrainingMeter(sparsifier):
        metered = train(model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(alone, metered, strict=True))
    assert set(vars(sparsifier)) == own
    assert len(optimizer._optimizer_step_post_hooks) == hooks
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_dense_model_is_metered_by_its_optimizer():
    model = nn.Linear(30, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with TrainingMeter(model, optimizer) as meter:
        train(model, optimizer, 3)
        with torch.no_grad():
            model(torch.ones(1, 30))  # an evaluation is no forward pass of a step
        meter.pause()
        train(model, optimizer, 1)
    assert meter.found.steps == 4
    assert meter.found.updates is None
    assert meter.found.update_in_steps is None
    assert "holding" not in meter.found.parts


def test_an_error_in_the_middle_of_a_step_does_no_harm():
    model, optimizer, sparsifier = net()
    with TrainingMeter(sparsifier) as meter:
        train(model, optimizer, 2)
        with pytest.raises(RuntimeError):
            model(torch.ones(1, 7))
        train(model, optimizer, 2)
    assert meter.found.steps == 4


def test_without_a_step_nothing_is_found_and_without_an_optimizer_it_says_so():
    model, _, sparsifier = net()
    with TrainingMeter(sparsifier) as meter:
        pass
    assert meter.found is None
    sparsifier.detach()
    with pytest.raises(AttachError, match="TrainingMeter\\(model, optimizer\\)"):
        TrainingMeter(sparsifier)
    with pytest.raises(AttachError):
        TrainingMeter(model)
