"""Our own ways as runtimes."""

import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.kernels import read, unpack
from rarefy.lab.speed import _ours, conv, linear
from rarefy.lab.speed._ours import accelerated, planned


@pytest.mark.parametrize("sparsity", [0.0, 0.75])
@torch.no_grad()
def test_a_plan_of_a_chain_gives_what_torch_gives(sparsity):
    model, example = linear(24, 24, 5, sparsity=sparsity, layers=3)
    made = planned(model, example, 1, "float32")
    assert torch.allclose(made.call(), model(example), atol=1e-5)


@torch.no_grad()
def test_a_plan_of_a_convolution_too():
    model, example = conv(6, 5, 3, 7, 2, sparsity=0.5, stride=2)
    model.bias = None
    made = planned(model, example, 1, "float32")
    assert torch.allclose(made.call(), model(example), atol=1e-5)


@torch.no_grad()
def test_what_accelerate_makes_gives_the_same_and_says_what_runs_sparse():
    model, example = linear(24, 24, 5, sparsity=0.75, layers=2)
    made = accelerated(model, example, 1, "float32")
    assert torch.allclose(made.call(), model(example), atol=1e-5)
    assert made.note.endswith("of 2 weights run sparse")


def test_its_bytes_shrink_with_what_is_removed():
    dense, sparse = (
        planned(*linear(64, 64, 1, sparsity=sparsity), 1, "float32") for sparsity in (0.0, 0.9)
    )
    assert sparse.bytes < dense.bytes / 3


def test_other_layers_are_refused_and_the_way_out_is_told():
    with pytest.raises(TargetError, match=r"found GELU. rarefy.accelerate takes any model"):
        planned(nn.Sequential(nn.Linear(2, 2), nn.GELU()), torch.ones(1, 2), 1, "float32")


def test_what_is_packed_is_the_weight(monkeypatch):
    seen, plan = [], _ours.Plan
    monkeypatch.setattr(
        _ours, "Plan", lambda packed, text: seen.append(packed) or plan(packed, text)
    )
    model, example = linear(8, 6, 2, sparsity=0.5)
    planned(model, example, 1, "float32")
    weight, bias = map(unpack, read(seen[0]))
    assert torch.equal(weight, model.weight.detach())
    assert torch.equal(bias, model.bias.detach())
