"""The matrix view: groups x outputs x inputs x kernel, and back."""

import pytest
import torch
from torch import nn

from rarefy.targets import Target, find


class Conv1D(nn.Module):
    """As in GPT-2: a Linear whose weight is inputs x outputs."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))


CASES = [
    (nn.Linear(6, 4), "weight", (1, 4, 6, 1), (4, 6)),
    (nn.Bilinear(3, 5, 2), "weight", (1, 2, 3, 5), (2, 3, 5)),
    (nn.Conv1d(4, 6, 3), "weight", (1, 6, 4, 3), (6, 4, 3)),
    (nn.Conv2d(4, 6, (3, 5), groups=2), "weight", (1, 6, 2, 15), (6, 2, 3, 5)),
    (nn.Conv2d(4, 4, 3, groups=4), "weight", (1, 4, 1, 9), (4, 1, 3, 3)),
    (nn.Conv3d(2, 3, (1, 2, 3)), "weight", (1, 3, 2, 6), (3, 2, 1, 2, 3)),
    (nn.ConvTranspose1d(4, 6, 3), "weight", (1, 6, 4, 3), (6, 4, 3)),
    (nn.ConvTranspose2d(4, 6, 3, groups=2), "weight", (2, 3, 2, 9), (6, 2, 3, 3)),
    (nn.LSTM(5, 3), "weight_ih_l0", (4, 3, 5, 1), (12, 5)),
    (nn.LSTM(5, 4, proj_size=2), "weight_hr_l0", (1, 2, 4, 1), (2, 4)),
    (nn.GRU(5, 3), "weight_hh_l0", (3, 3, 3, 1), (9, 3)),
    (nn.RNN(5, 3), "weight_ih_l0", (1, 3, 5, 1), (3, 5)),
    (nn.LSTMCell(5, 3), "weight_ih", (4, 3, 5, 1), (12, 5)),
    (nn.GRUCell(5, 3), "weight_hh", (3, 3, 3, 1), (9, 3)),
    (nn.RNNCell(5, 3), "weight_hh", (1, 3, 3, 1), (3, 3)),
    (nn.MultiheadAttention(6, 2), "in_proj_weight", (3, 6, 6, 1), (18, 6)),
    (nn.MultiheadAttention(6, 2, kdim=4, vdim=4), "k_proj_weight", (1, 6, 4, 1), (6, 4)),
    (Conv1D(8, 6), "weight", (1, 8, 6, 1), (8, 6)),
    (nn.Embedding(9, 4), "weight", (1, 4, 9, 1), (4, 9)),
]
every_case = pytest.mark.parametrize(
    ("module", "name", "shape", "sides"),
    CASES,
    ids=[f"{type(c[0]).__name__}-{c[1]}" for c in CASES],
)


@every_case
def test_groups_outputs_inputs_and_kernel(module, name, shape, sides):
    target = find(module, only=name)[name]
    weight = module.get_parameter(name).detach()
    assert tuple(target.matrix(weight).shape) == target.matrix_shape == shape
    assert target.sides == sides
    assert target.shape == tuple(weight.shape)


@every_case
def test_a_view_goes_back_to_the_bit(module, name, shape, sides):
    del shape, sides
    target = find(module, only=name)[name]
    weight = module.get_parameter(name).detach()
    matrix = target.matrix(weight)
    assert matrix.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
    assert torch.equal(target.restore(matrix), weight)
    assert target.restore(matrix.clone()).is_contiguous()


def test_the_input_of_a_transposed_convolution_is_its_first_side():
    layer = nn.ConvTranspose2d(4, 6, 1, groups=2)
    matrix = find(layer)["weight"].matrix(layer.weight.detach())
    # group 1, output 2 of it, input 1 of it
    assert matrix[1, 2, 1, 0] == layer.weight[2 + 1, 2, 0, 0]


def test_the_gates_of_an_lstm_are_its_groups():
    layer = nn.LSTM(5, 3)
    matrix = find(layer)["weight_ih_l0"].matrix(layer.weight_ih_l0.detach())
    assert torch.equal(matrix[2, :, :, 0], layer.weight_ih_l0[6:9])


@pytest.mark.parametrize("bits", [torch.bool, torch.bfloat16, torch.float64])
def test_a_mask_has_a_view_too(bits):
    target = find(nn.ConvTranspose2d(4, 6, 3, groups=2))["weight"]
    mask = torch.randn(target.shape).gt(0).to(bits)
    assert torch.equal(target.restore(target.matrix(mask)), mask)


def test_a_weight_that_lies_otherwise_is_seen_the_same():
    layer = nn.Conv2d(4, 6, 3)
    target = find(layer)["weight"]
    turned = layer.weight.detach().to(memory_format=torch.channels_last)
    assert torch.equal(target.matrix(turned), target.matrix(layer.weight.detach()))


def test_a_target_is_a_value():
    one = Target("weight", ("weight",), "", (2, 3))
    assert one == Target("weight", ("weight",), "", (2, 3))
    assert hash(one) == hash(Target("weight", ("weight",), "", (2, 3)))
