"""A compressed model's state with ordinary keys."""

import torch
from torch import nn

import rarefy
from rarefy.training._dense_state import dense_state


class Net(nn.Module):
    """Layers and what is beside them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 3, bias=False)
        self.weight_values = nn.Parameter(torch.ones(2))  # a name that could be mistaken


def test_keys_order_and_values_are_those_of_the_dense_model():
    model = Net()
    sparsifier = rarefy.sparsify(model, 0.5, seed=0)
    wanted = {key: value.clone() for key, value in model.state_dict().items()}
    assert list(sparsifier.dense_state_dict()) == list(wanted)
    compressed = sparsifier.compress()
    for found in (compressed.dense_state_dict(), dense_state(torch.nn.DataParallel(model))):
        assert list(found) == list(wanted)
        assert all(torch.equal(value, wanted[key]) for key, value in found.items())
    Net().load_state_dict(found)


def test_a_layer_in_two_places_has_both_names():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, shared)
    sparsifier = rarefy.sparsify(model, 0.5, storage="compressed")
    assert list(sparsifier.dense_state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
