"""Steps without parameters: what each computes, and which forms of it stay in torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from rarefy.acceleration._pieces import piece_of


class Of(nn.Module):
    """A net of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):  # noqa: D102
        return self.function(x)


@pytest.fixture
def last_piece(unit_of):
    """A function from a function of x to the piece of its last node, or why there is none."""

    def make(function, shape):
        module = Of(function)
        return piece_of(unit_of(module, x=shape).nodes[-1], module)

    return make


IMAGES = (3, 2, 6, 6)


@pytest.mark.parametrize(
    ("function", "shape", "ops"),
    [
        (torch.relu, (3, 4), ["relu"]),
        (functional.gelu, (3, 4), ["gelu"]),
        (lambda x: functional.gelu(x, approximate="tanh"), (3, 4), ["gelu_tanh"]),
        (lambda x: x + torch.relu(x), (3, 4), ["add"]),
        (lambda x: x.mean((2, 3)), IMAGES, ["mean", "flatten"]),
        (lambda x: x.mean((-1, -2), keepdim=True), IMAGES, ["mean"]),
        (lambda x: functional.adaptive_avg_pool2d(x, 1), IMAGES, ["mean"]),
        (lambda x: x.flatten(1), IMAGES, ["flatten"]),
    ],
)
def test_what_becomes_which_steps(last_piece, function, shape, ops):
    assert [part.op for part in last_piece(function, shape).parts] == ops


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (functional.relu6, 0.0, 6.0),
        (lambda x: functional.hardtanh(x, -2, 3), -2.0, 3.0),
        (lambda x: x.clamp(min=1), 1.0, float("inf")),
        (lambda x: x.clamp(max=1), float("-inf"), 1.0),
    ],
)
def test_bounds_of_a_clamp(last_piece, function, low, high):
    (part,) = last_piece(function, (3, 4)).parts
    assert (part.op, part.options) == ("clamp", {"lo": low, "hi": high})


def test_a_pooling_window_and_its_stride_which_is_the_window_unless_told(last_piece):
    pool = last_piece(lambda x: functional.max_pool2d(x, (2, 3), padding=(0, 1)), IMAGES)
    assert pool.parts[0].options == {"size": (2, 3), "stride": (2, 3), "pad": (0, 1)}
    pool = last_piece(lambda x: functional.max_pool2d(x, 2, 1), IMAGES)
    assert pool.parts[0].options["stride"] == (1, 1)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x + 1, (3, 4)),
        (lambda x: x + x[:1], (3, 4)),
        (lambda x: torch.add(x, torch.relu(x), alpha=2), (3, 4)),
        (lambda x: x.clamp(2, 1), (3, 4)),
        (lambda x: functional.max_pool2d(x, 2, ceil_mode=True), IMAGES),
        (lambda x: functional.max_pool2d(x, 2, dilation=2), IMAGES),
        (lambda x: x.mean(2), IMAGES),
        (lambda x: x.mean((1, 2)), (3, 4, 5)),
        (lambda x: functional.adaptive_avg_pool2d(x, 2), IMAGES),
        (lambda x: x.flatten(0, 1), (3, 4, 5)),
        (lambda x: x.flatten(2), IMAGES),
    ],
)
def test_other_forms_stay_in_torch_with_a_reason(last_piece, function, shape):
    assert isinstance(last_piece(function, shape), str)
