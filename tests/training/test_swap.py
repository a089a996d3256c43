"""A parameter replaced inside an optimizer."""

import pytest
import torch
from torch import nn
from torch.optim import LBFGS, SGD, Adafactor, AdamW, Muon

import rarefy
from rarefy.errors import AttachError
from rarefy.training import refuse_optimizers
from rarefy.training._commit import commit
from rarefy.training._swap import replacing


def halved(dense):
    return dense.flatten()[::2].clone()


def test_groups_stay_and_state_is_gathered():
    old, other = nn.Parameter(torch.arange(6.0).view(2, 3)), nn.Parameter(torch.ones(2, 3))
    new = nn.Parameter(halved(old.detach()))
    optimizer = AdamW(
        [{"params": [other], "lr": 1.0}, {"params": [old, nn.Parameter(torch.ones(1))], "lr": 2.0}]
    )
    moment, count = torch.arange(6.0).view(2, 3), torch.tensor(4.0)
    optimizer.state[old] = {
        "step": count,
        "nested": [moment, {"again": moment * 2}, "text"],
        "pair": (moment * 3, 7),
    }
    moves = replacing(optimizer, old, new, halved)
    assert optimizer.param_groups[1]["params"][0] is old  # prepared, and not done yet
    assert commit(moves + moves) is None  # done again, as after an interruption
    assert optimizer.param_groups[1]["params"][0] is new
    assert optimizer.param_groups[0]["params"][0] is other
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 2.0]
    state = optimizer.state[new]
    assert list(optimizer.state) == [new]
    assert state["step"] is count
    assert state["nested"][0].tolist() == [0.0, 2.0, 4.0]
    assert state["nested"][1]["again"].tolist() == [0.0, 4.0, 8.0]
    assert state["nested"][2] == "text"
    assert state["pair"][0].tolist() == [0.0, 6.0, 12.0]
    assert state["pair"][1] == 7


def test_a_parameter_that_an_optimizer_does_not_hold_is_left_alone():
    old = nn.Parameter(torch.ones(2, 2))
    optimizer = SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    assert replacing(optimizer, old, nn.Parameter(torch.ones(2)), halved) == []


@pytest.mark.parametrize("make", [LBFGS, Muon])
@pytest.mark.parametrize("storage", ["sparsify", "compress"])
def test_an_optimizer_of_whole_matrices_is_refused_by_name(make, storage):
    model = nn.Sequential(nn.Linear(6, 4, bias=False))
    optimizer = make(model.parameters())
    wanted = rf"{make.__name__} works on whole matrices.*0\.weight"
    if storage == "sparsify":
        with pytest.raises(AttachError, match=wanted):
            rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, storage="compressed")
    else:
        held = rarefy.hold(model, optimizer=optimizer)
        with pytest.raises(AttachError, match=wanted):
            held.compress()
        assert held.attached
    assert type(model[0]) is nn.Linear


def test_one_that_trains_other_parameters_may_be_beside():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4))
    weights = {"0.weight": model[0].weight}
    refuse_optimizers([SGD([model[0].weight], lr=0.1), Muon([model[1].weight])], weights)


def test_state_that_is_not_one_number_a_weight_is_refused():
    model = nn.Sequential(nn.Linear(6, 4))
    optimizer = Adafactor(model.parameters())
    held = rarefy.hold(model, optimizer=optimizer)
    model(torch.ones(2, 6)).sum().backward()
    optimizer.step()
    with pytest.raises(AttachError, match=r"Adafactor keeps a tensor of shape .* 0\.weight"):
        held.compress()
