"""Optimizers under their wrappers, and what they hold."""

import pytest
import torch
from torch import nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Muon

import rarefy
from rarefy.errors import AttachError
from rarefy.training import check_optimizers
from rarefy.training._optimizers import (
    counting,
    opened,
    own_count,
    scale_of,
    skips,
    state_like,
)


class _Wrapper:
    def __init__(self, optimizer):
        self.optimizer = optimizer


def test_wrappers_are_opened(lab):
    inner = SGD(lab.build().parameters())
    assert opened(inner) == [inner]
    assert opened(_Wrapper(_Wrapper(inner))) == [inner]
    other = Adam(lab.build().parameters())
    assert opened([_Wrapper(inner), other]) == [inner, other]
    assert opened((inner, other, inner)) == [inner, other]
    inner.optimizer = inner  # a wrapper that is its own inside
    assert opened(inner) == [inner]


@pytest.mark.parametrize("odd", [None, "sgd", [1], nn.Linear(2, 2), torch.optim.SGD])
def test_what_is_no_optimizer_is_named(odd):
    with pytest.raises(AttachError, match=r"takes a torch\.optim\.Optimizer"):
        opened(odd)


def test_an_empty_list_is_refused(lab):
    with pytest.raises(AttachError, match="holds no optimizer"):
        rarefy.sparsify(lab.build(), 0.5, "static", optimizer=[])


def test_a_model_that_is_frozen_whole_is_held_by_any_optimizer(lab):
    model, other = lab.build(), nn.Linear(2, 2)
    model.requires_grad_(False)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=SGD(other.parameters(), lr=0.1))
    other(torch.ones(1, 2)).sum().backward()
    sparsifier._hooks.counted.step()
    assert sparsifier.step == 1
    sparsifier.check()


def test_steps_are_counted_where_the_weights_are(lab):
    model = lab.build()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    adamw, muon = AdamW(rest), Muon(matrices)
    weights = {"0.weight": model[0].weight, "2.weight": model[2].weight}
    assert counting([adamw, muon], weights) is muon


def test_an_optimizer_of_another_model(lab):
    model = lab.build()
    weights = {"0.weight": model[0].weight}
    with pytest.raises(AttachError, match="another copy of the model"):
        check_optimizers(SGD(lab.build().parameters()), weights)


@pytest.mark.parametrize("method", ["static", "rigl", "gmp"])
def test_a_layer_in_no_optimizer_is_named_and_nothing_is_changed(lab, method):
    model = lab.build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = SGD(list(model.parameters())[:4], lr=0.1)
    with pytest.raises(AttachError, match=r"holds 4\.weight\. .*skip="):
        rarefy.sparsify(model, 0.5, method, optimizer=optimizer, steps=100)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert rarefy.training.sparsifier_of(model) is None
    assert not optimizer._optimizer_step_pre_hooks
    sparsifier = rarefy.sparsify(
        model, 0.5, method, optimizer=optimizer, steps=100, skip="4", seed=0
    )
    assert list(sparsifier.masks) == ["0.weight", "2.weight"]


def test_a_frozen_layer_needs_no_optimizer(lab):
    model = lab.build()
    model[4].requires_grad_(False)
    optimizer = SGD(list(model.parameters())[:4], lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, seed=0)
    lab.train(model, optimizer, lab.batches(3))
    lab.assert_zeros(sparsifier, optimizer)


def test_state_of_the_weights_shape_wherever_it_is():
    weight = nn.Parameter(torch.zeros(2, 3))
    optimizer = SGD([weight])
    own = torch.ones(2, 3)
    optimizer.state[weight] = {
        "step": torch.tensor(1.0),
        "row": torch.ones(2, 1),
        "turned": torch.ones(3, 2),
        "exp_avg": own,
        "past": [own, (own, None)],
        "inner": {"slow": own, "count": 3},
    }
    assert [key for key, _ in state_like(optimizer, weight)] == ["exp_avg", "past", "past", "slow"]
    assert all(value is own for _, value in state_like(optimizer, weight))


def test_the_optimizers_own_count(lab):
    model = lab.build()
    weights = {"0.weight": model[0].weight, "2.weight": model[2].weight}
    for kind, wanted in [(SGD, None), (LBFGS, None), (Adam, 1.0)]:
        optimizer = kind(model.parameters())
        assert own_count(optimizer, weights) is None
        optimizer.zero_grad()
        optimizer.step(lambda: lab.backward(model, lab.batches(1)[0]))
        found = own_count(optimizer, weights)
        assert (found and (found.name, float(found.steps))) == (wanted and ("0.weight", wanted))
    optimizer.step()
    assert float(found.steps) == 1.0  # a copy
    assert own_count(optimizer, weights, "2.weight").name == "2.weight"
    assert own_count(optimizer, weights, "missing") is None


def test_what_a_grad_scaler_says_to_a_fused_optimizer(lab):
    optimizer = SGD(lab.build().parameters())
    assert not skips(optimizer)
    assert scale_of(optimizer) == 1.0
    optimizer.found_inf, optimizer.grad_scale = torch.tensor(0.0), torch.tensor(512.0)
    assert not skips(optimizer)
    assert scale_of(optimizer) == 512.0
    optimizer.found_inf = torch.tensor(1.0)
    assert skips(optimizer)
    optimizer.grad_scale = None
    assert scale_of(optimizer) == 1.0
