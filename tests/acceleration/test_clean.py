"""Cleaning keeps what a graph computes, and says it in fewer or plainer operations."""

import math

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from rarefy.acceleration._arguments import TensorLike
from rarefy.acceleration._clean import clean, shape_of, writes
from rarefy.acceleration._trace import trace


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):  # noqa: D102
        return self.run(self, x)


def cleaned(net, shape=(3, 4)):
    """Names of the operations that are left; what they give is compared."""
    net.eval()
    graph = trace(net, {"x": TensorLike(shape, torch.float32)}).graph
    clean(graph)
    x = torch.randn(shape)
    wanted = net(x.clone())
    found = fx.GraphModule(net, graph)(x.clone())
    torch.testing.assert_close(found[0] if isinstance(found, list | tuple) else found, wanted)
    return [n.target._schema.name[6:] for n in graph.nodes if n.op == "call_function"]


def in_place(_, x):
    return functional.relu(x + 1, inplace=True)


def read_after(_, x):
    y = x + 1
    z = y.relu_()
    return y * z


def seen_through_a_view(_, x):
    y = x + 1
    y[:, :2].relu_()
    return y * 2


def tanh_gelu(_, x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def transformers_gelu(_, x):
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))
    return 0.5 * x * (1.0 + torch.tanh(inner))


def nearly_gelu(_, x):
    return 0.5 * x * (1 + torch.tanh(0.7 * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (lambda _, x: functional.dropout(x, 0.5, False) + 1, ["add"]),
        (lambda _, x: x.to(torch.float32) + 1, ["add"]),
        (lambda _, x: x[:, :] + 1, ["add"]),
        (in_place, ["add", "relu"]),
        (read_after, ["add", "relu", "mul"]),
        (tanh_gelu, ["gelu"]),
        (transformers_gelu, ["gelu"]),
    ],
)
def test_what_does_nothing_goes_and_the_rest_is_plain(run, wanted):
    assert cleaned(Of(run)) == wanted


def test_a_write_that_is_seen_through_a_view_stays_a_write():
    assert "relu_" in cleaned(Of(seen_through_a_view))


def test_a_slice_that_takes_less_a_conversion_and_other_numbers_stay():
    assert "slice" in cleaned(Of(lambda _, x: x[:, :2] + 1))
    assert cleaned(Of(lambda _, x: x.to(torch.float64) + 1))[0] == "to"
    assert "tanh" in cleaned(Of(nearly_gelu))


def conv1d(net, x):
    flat = torch.addmm(net.bias, x.view(-1, x.size(-1)), net.weight)
    return flat.view((*x.size()[:-1], 5))


def test_a_layer_with_inputs_first_becomes_a_linear_one():
    weight, bias = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5))
    found = cleaned(Of(conv1d, weight=weight, bias=bias), (2, 3, 4))
    assert "linear" in found
    assert "addmm" not in found


def test_shapes_tell_fixed_sizes_as_numbers_and_open_ones_as_text():
    graph = trace(nn.Linear(4, 5), {"input": TensorLike((3, 4), torch.float32)}).graph
    node = next(n for n in graph.nodes if n.op == "call_function")
    rows, columns = shape_of(node)
    assert columns == 5
    assert isinstance(rows, str)
    assert not writes(node)


class Tail(nn.Module):
    """Asks for the size of its input, which then is fixed though it looks open."""

    def forward(self, x):  # noqa: D102
        return x + 1 if x.shape[1] == 7 else x


def test_a_size_that_only_looks_open_is_told_as_the_number_it_is():
    graph = trace(Tail(), {"x": TensorLike((3, 7), torch.float32)}).graph
    node = next(n for n in graph.nodes if n.op == "call_function")
    assert shape_of(node)[1] == 7
    assert type(shape_of(node)[1]) is int
