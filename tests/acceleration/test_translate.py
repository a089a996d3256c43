"""A region as the text of a program and recipes; the text is all that tells chains apart."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._leaf import leaf_piece
from rarefy.acceleration._regions import regions
from rarefy.acceleration._translate import alone, translate
from rarefy.kernels import Plan, join, steps


class Residual(nn.Module):
    """A layer that is called twice, and a value that leaves on the way."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):  # noqa: D102
        half = torch.relu(self.fc(x))
        return torch.sin(half), self.fc(half) + x


def run(chain, module, *inputs):
    return Plan(join([r.section(module) for r in chain.recipes]), chain.program).run(*inputs)


@pytest.fixture
def residual(unit_of):
    module = Residual()
    unit = unit_of(module, x=(3, 4))
    (region,) = regions(unit.nodes, unit.pieces)
    return module, unit, translate(region, unit.pieces, module)


def test_inputs_come_first_outputs_last_and_steps_between(residual):
    _, _, made = residual
    ops = [step.op for step in steps(made.chain.program)]
    assert ops == ["input", "linear", "relu", "linear", "add", "output", "output"]
    assert len(made.inputs) == 1
    assert len(made.outputs) == 2


def test_a_layer_that_is_called_twice_is_packed_once(residual):
    _, _, made = residual
    assert [recipe.kind for recipe in made.chain.recipes] == ["weight", "floats"]
    assert [layer.name for layer in made.layers] == ["fc.weight", "fc.weight"]


def test_the_chain_computes_the_region(residual):
    module, _, made = residual
    x = torch.randn(5, 4)
    half, last = run(made.chain, module, x)
    assert torch.allclose(torch.sin(half), module(x)[0], atol=1e-6)
    assert torch.allclose(last, module(x)[1], atol=1e-6)


def test_tied_weights_are_packed_once_and_equal_ones_apart(unit_of):
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    counts = []
    for _ in range(2):
        unit = unit_of(tied, input=(3, 4))
        (region,) = regions(unit.nodes, unit.pieces)
        counts.append(len(translate(region, unit.pieces, tied).chain.recipes))
        tied[1].weight = tied[0].weight
    assert counts == [2, 1]


def test_precision_goes_to_the_weight_of_that_name(residual):
    module, unit, _ = residual
    (region,) = regions(unit.nodes, unit.pieces)
    made = translate(region, unit.pieces, module, {"fc.weight": "bf16"})
    assert [recipe.precision for recipe in made.chain.recipes] == ["bf16", "float32"]


def test_layers_of_one_name_and_two_shapes_have_two_programs():
    small, large = nn.Linear(4, 3), nn.Linear(4, 5)
    programs = {alone(leaf_piece(m), m, 2).program for m in (small, large)}
    assert len(programs) == 2


@pytest.mark.parametrize(
    ("module", "shape"),
    [(nn.Linear(4, 3), (2, 4)), (nn.Linear(4, 3, bias=False), (2, 4)),
     (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 2, 5, 5))],
)  # fmt: skip
def test_a_layer_alone_gives_what_torch_gives(module, shape):
    x = torch.randn(shape)
    chain = alone(leaf_piece(module), module, len(shape))
    assert torch.allclose(run(chain, module, x)[0], module(x), atol=1e-5)
