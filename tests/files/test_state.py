"""A model's state: plain names, plain tensors, tied ones together."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from rarefy.errors import FileError
from rarefy.files._state import groups_of, state_of


class Extra(nn.Module):
    """A layer with state of its own beside its tensors."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def get_extra_state(self):
        """What goes into the state_dict."""
        return self.state

    def set_extra_state(self, state):
        """What comes back from it."""
        self.state = state


def test_names_are_those_of_the_plain_model():
    model = nn.Sequential(torch.compile(nn.Linear(2, 2), backend="eager"), nn.Linear(2, 2))
    wanted = ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert list(state_of(model)) == wanted
    assert list(state_of(torch.compile(model, backend="eager"))) == wanted


def test_tied_tensors_are_found_and_views_are_not():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight = nn.Parameter(model[0].weight.data.T)
    groups = groups_of(state_of(model))
    assert groups == [
        ("0.weight", "1.weight"),
        ("0.bias",),
        ("1.bias",),
        ("2.weight",),
        ("2.bias",),
    ]


def test_empty_tensors_are_never_tied():
    model = nn.Module()
    model.register_buffer("a", torch.zeros(0))
    model.register_buffer("b", torch.zeros(0))
    assert groups_of(state_of(model)) == [("a",), ("b",)]


def test_extra_state_is_a_tensor_or_refused():
    model = nn.Sequential(Extra(torch.tensor([1, 2])))
    assert list(state_of(model)) == ["0._extra_state"]
    model[0].state = {"scale": 3}
    with pytest.raises(FileError, match=r"^0\._extra_state is dict, no tensor.*get_extra_state"):
        state_of(model)


def buffer(tensor):
    model = nn.Module()
    model.register_buffer("table", tensor)
    return model


def test_what_has_no_values_or_no_place_is_refused_by_name():
    with pytest.raises(FileError, match=r"^table is on the meta device"):
        state_of(buffer(torch.zeros(3, device="meta")))
    with FakeTensorMode(), pytest.raises(FileError, match=r"^table is a FakeTensor"):
        state_of(buffer(torch.zeros(3)))
    with pytest.raises(FileError, match=r"^table is not a plain dense tensor"):
        state_of(buffer(torch.eye(3).to_sparse_coo()))
    with pytest.raises(FileError, match=r"^table has dtype torch\.complex128"):
        state_of(buffer(torch.zeros(3, dtype=torch.complex128)))


def test_a_tensor_spread_over_ranks_is_refused():
    spread = torch.zeros(3)
    spread.device_mesh = None  # what tells a DTensor from others
    model = nn.Module()
    model.register_state_dict_post_hook(lambda *args: args[1].update(table=spread))
    with pytest.raises(FileError, match="table is a DTensor"):
        state_of(model)


@pytest.mark.parametrize("name", ["x.rarefy.mask", "x.rarefy.values"])
def test_reserved_names_are_refused(name):
    *path, last = name.split(".")
    model = inner = nn.Module()
    for part in path:
        inner.add_module(part, child := nn.Module())
        inner = child
    inner.register_buffer(last, torch.zeros(1))
    with pytest.raises(FileError, match="reserved"):
        state_of(model)
