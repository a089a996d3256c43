"""What the tests of the verbs share: a trained net, and a picture of all that must not change."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from rarefy.training import sparsifier_of


@pytest.fixture
def data():
    """Two batches that fit the net."""
    torch.manual_seed(1)
    return [(torch.randn(4, 6), torch.randint(3, (4,))) for _ in range(2)]


@pytest.fixture
def model():
    """A small net in training mode."""
    return nn.Sequential(
        nn.Linear(6, 10), nn.BatchNorm1d(10), nn.Dropout(0.5), nn.ReLU(), nn.Linear(10, 3)
    )


@pytest.fixture
def optimizer(model, data):
    """Of the net, with a state, after one step whose gradients are still there."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    nn.functional.cross_entropy(model(data[0][0]), data[0][1]).backward()
    optimizer.step()
    return optimizer


@pytest.fixture
def picture():
    """A function from a model, and an optimizer, to all that a refused call must leave alone."""
    return taken


def bits(tensor):
    if tensor.device.type == "meta" or type(tensor).__name__ == "FakeTensor":
        return tuple(tensor.shape)
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return dense.contiguous().clone().flatten().view(torch.uint8).tolist()


def taken(model, optimizer=None):
    """All that a refused call must leave alone."""
    lazy = nn.parameter.UninitializedParameter
    parameters = [p for p in model.parameters() if not isinstance(p, lazy)]
    seen = {
        "weights": [(id(p), bits(p), p.requires_grad) for p in parameters],
        "gradients": [None if p.grad is None else bits(p.grad) for p in parameters],
        "hooks": [len(p._backward_hooks or ()) for p in parameters],
        "buffers": [bits(b) for b in model.buffers()],
        "modules": [(m.training, len(m._forward_hooks)) for m in model.modules()],
        "random": (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())),  # noqa: NPY002
        "sparsifier": sparsifier_of(model),
    }
    if optimizer is not None:
        state = copy.deepcopy(optimizer.state_dict())
        seen["state"] = [
            (k, name, bits(v) if isinstance(v, torch.Tensor) else v)
            for k, each in state["state"].items()
            for name, v in each.items()
        ]
        seen["groups"] = state["param_groups"]
        seen["step hooks"] = (
            len(optimizer._optimizer_step_pre_hooks),
            len(optimizer._optimizer_step_post_hooks),
        )
    return seen
