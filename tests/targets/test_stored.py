"""Compressed layers, known by what they can do."""

import torch
from torch import nn

from rarefy.layers import SparseConv2d, SparseLinear
from rarefy.targets import find, stored, stored_of


class Own(nn.Module):
    """Not ours, and drives the same way."""

    def __init__(self):
        super().__init__()
        self.weight_values = nn.Parameter(torch.zeros(0))

    def weight_shape(self):
        """Of the dense weight."""
        return (2, 3)


class Net(nn.Module):
    """One layer of each kind, one of them in two places."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(SparseLinear(6, 4, sparsity=0.5), nn.Linear(4, 4))
        self.image = SparseConv2d(3, 5, 2, sparsity=0.5)
        self.own = Own()
        self.again = self.one[0]


def test_they_are_found_under_every_name_of_their_weight():
    model = Net()
    found = stored(model)
    assert list(found) == ["one.0.weight", "image.weight", "own.weight", "again.weight"]
    assert found["one.0.weight"] is found["again.weight"] is model.again
    assert stored_of(model, "image.weight") is model.image
    for name in ("one.1.weight", "one.0.bias", "one.weight", "gone.weight", "image.weight_values"):
        assert stored_of(model, name) is None
    assert stored(nn.Linear(2, 2)) == {}
    assert list(stored(SparseLinear(6, 4, sparsity=0.5))) == ["weight"]


def test_they_are_targets_with_the_shape_of_their_dense_weight():
    targets = find(Net())
    assert {name: target.shape for name, target in targets.items()} == {
        "one.0.weight": (4, 6),
        "one.1.weight": (4, 4),
        "image.weight": (5, 3, 2, 2),
        "own.weight": (2, 3),  # where nothing lives there still is a weight
    }
    assert targets["one.0.weight"].aliases == ("one.0.weight", "again.weight")
    assert targets["image.weight"].matrix_shape == (1, 5, 3, 4)
    assert list(find(Net(), only="image.*")) == ["image.weight"]
    assert list(find(Net(), only=SparseLinear)) == ["one.0.weight"]
    assert "one.0.weight" not in find(Net(), skip="one.0")
