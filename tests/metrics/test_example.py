"""The three ways to give an example."""

import torch
from torch import nn

from rarefy.metrics import batch_of, run


class Sum(nn.Module):
    """Takes one or two arguments."""

    def forward(self, a, b=None):  # noqa: D102
        return a if b is None else a + 10 * b


def test_tensor_tuple_and_mapping():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    assert run(Sum(), one).item() == 1
    assert run(Sum(), (one, two)).item() == 21
    assert run(Sum(), {"b": one, "a": two}).item() == 12


def test_batch_is_the_first_side_of_the_first_tensor():
    assert batch_of(torch.zeros(7, 2)) == 7
    assert batch_of((torch.tensor(0.0), {"x": torch.zeros(3)})) == 3
    assert batch_of({"flag": True}) is None
