"""A small net of compressed layers, and what it is fed."""

import pytest
import torch
from torch import nn

from rarefy.layers import SparseConv2d, SparseLinear


def built(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(
        SparseConv2d(3, 8, 3, padding=1, sparsity=0.5, dtype=dtype),
        nn.ReLU(),
        nn.Flatten(),
        SparseLinear(8 * 36, 40, sparsity=0.8, slack=0.25, dtype=dtype),
        nn.Tanh(),
        SparseLinear(40, 10, sparsity=0.7, dtype=dtype),
    )


@pytest.fixture
def build():
    """Makes the net from a seed."""
    return built


@pytest.fixture
def model():
    """The net."""
    return built()


@pytest.fixture
def x():
    """Its inputs."""
    return torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(9))
