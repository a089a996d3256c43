"""What is remembered of a call: tensors by shape and dtype, the rest by value, in order."""

import numpy as np
import pytest
import torch
from torch import nn

from rarefy.acceleration._arguments import (
    Constant,
    Opaque,
    TensorLike,
    argument_of,
    names_of_arguments,
    ordered,
)


class Net(nn.Module):
    """Takes arguments of every kind."""

    def forward(self, input, mask=None, *, scale=1.0, **more):  # noqa: A002, D102
        return input, mask, scale, more


class Tail(nn.Module):
    """Takes any number of them."""

    def forward(self, x, *rest):  # noqa: D102
        return x, rest


class Own(torch.Tensor):
    """A subclass, which may mean anything."""


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (torch.ones(2, 3), TensorLike((2, 3), torch.float32)),
        (nn.Parameter(torch.ones(2)), TensorLike((2,), torch.float32)),
        (torch.tensor(1), TensorLike((), torch.int64)),
        (None, Constant(None)),
        ("eager", Constant("eager")),
        (2.5, Constant(2.5)),
    ],
)
def test_tensors_and_plain_values(value, wanted):
    assert argument_of(value) == wanted


def test_true_is_not_one():
    assert type(argument_of(True).value) is bool
    assert type(argument_of(1).value) is int


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ([1, 2], "list"),
        (np.float32(1), "float32"),
        (torch.ones(2).as_subclass(Own), "Own"),
        (torch.ones(2, 2).to_sparse(), "Tensor"),
        (torch.ones(2, device="meta"), "meta"),
    ],
)
def test_what_cannot_be_captured_is_told_by_its_type(value, name):
    found = argument_of(value)
    assert isinstance(found, Opaque)
    assert name in found.type


def test_an_example_is_like_it_and_takes_nobodys_random_numbers():
    state = torch.get_rng_state()
    found = TensorLike((400,), torch.float64).example()
    assert (found.shape, found.dtype) == ((400,), torch.float64)
    assert 0.5 < found.std() < 1.5
    assert torch.equal(torch.get_rng_state(), state)
    assert TensorLike((2,), torch.int64).example().tolist() == [0, 0]
    assert TensorLike((2,), torch.bool).example().tolist() == [True, True]


def test_names_leave_out_self_and_what_has_no_place():
    assert names_of_arguments(Net.forward) == ("input", "mask")
    assert names_of_arguments(Tail.forward) == ("x",)


def test_arguments_are_put_in_the_order_of_the_signature():
    found = ordered(Net(), (1,), {"other": 4, "scale": 3, "mask": 2})
    assert list(found.items()) == [("input", 1), ("mask", 2), ("scale", 3), ("other", 4)]


def test_more_positions_than_names_cannot_be_told():
    with pytest.raises(TypeError, match="3 positional arguments, 1 names"):
        ordered(Tail(), (1, 2, 3), {})
