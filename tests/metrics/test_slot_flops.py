"""FLOPs of compressed layers by hand."""

import torch
from torch import nn

from rarefy.layers import SparseConv2d, SparseLinear
from rarefy.metrics import flops


def linear(outputs, inputs):
    mask = torch.zeros(outputs, inputs, dtype=torch.bool)
    mask.view(-1)[::4] = True
    return SparseLinear(inputs, outputs, mask=mask)


def test_a_slot_costs_two_at_each_position():
    model = nn.Sequential(linear(4, 6), nn.ReLU(), nn.Linear(4, 3))
    found = flops(model, torch.randn(2, 5, 6))
    assert list(found.weights) == ["0.weight", "2.weight"]
    first = found.weights["0.weight"]
    assert (first.dense, first.effective) == (2 * 10 * 24, 2 * 10 * 6)
    assert found.weights["2.weight"].dense == 2 * 10 * 12
    assert (found.other, found.not_counted) == (0, {})


def test_double_through_plain_torch_counts_the_same():
    model = nn.Sequential(linear(4, 6))
    single = flops(model, torch.randn(5, 6))
    assert flops(model.double(), torch.randn(5, 6).double()) == single


def test_a_convolution_counts_its_output_positions():
    mask = torch.zeros(8, 4, 3, 3, dtype=torch.bool)
    mask[:, 0] = True
    model = SparseConv2d(4, 8, 3, padding=1, mask=mask)
    found = flops(model, torch.randn(2, 4, 6, 6)).weights["weight"]
    assert found.dense == 2 * 2 * 36 * (8 * 4 * 9)
    assert found.effective == found.dense // 4


def test_a_layer_used_twice_counts_twice_and_one_never_used_is_named():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = linear(6, 6), linear(6, 6)

        def forward(self, x):
            return self.used(self.used(x))

    found = flops(Twice(), torch.randn(5, 6))
    assert found.weights["used.weight"].dense == 2 * 2 * 5 * 36
    assert found.not_counted == {"idle.weight": "not reached by this example"}
