"""One node of a graph as steps of a chain, or the reason why not."""

import torch
from torch import nn
from torch.nn import functional

from rarefy.acceleration._pieces import piece_of

ATEN = torch.ops.aten


class Mixed(nn.Module):
    """Steps that a chain has, and one that it has not."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):  # noqa: D102
        return torch.sin(functional.silu(self.fc(x)) * x)


def test_known_operations_become_steps_and_others_a_reason(unit_of):
    module = Mixed()
    found = {n.target: piece_of(n, module) for n in unit_of(module, x=(3, 4)).nodes}
    assert [p.op for p in found[ATEN.linear.default].parts] == ["linear"]
    assert [p.op for p in found[ATEN.silu.default].parts] == ["silu"]
    assert len(found[ATEN.mul.Tensor].inputs) == 2
    assert "no step in a chain" in found[ATEN.sin.default]
    assert "sin" in found[ATEN.sin.default]


def test_other_dtypes_stay_in_torch(unit_of):
    class Double(nn.Module):
        def forward(self, x):
            return torch.relu(x.double())

    module = Double()
    (node,) = [n for n in unit_of(module, x=(3, 4)).nodes if n.target is ATEN.relu.default]
    assert piece_of(node, module) == "it does not give one float32 tensor"


def test_a_step_that_reads_integers_stays_in_torch(unit_of):
    class Sum(nn.Module):
        def forward(self, x):
            return x + torch.ones_like(x, dtype=torch.int64)

    module = Sum()
    (node,) = [n for n in unit_of(module, x=(3, 4)).nodes if n.target is ATEN.add.Tensor]
    assert isinstance(piece_of(node, module), str)
