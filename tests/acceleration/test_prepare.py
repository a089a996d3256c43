"""A traced module: what of it could be chained, what not and why, and code put together of it."""

import torch
from torch import nn

from rarefy.acceleration._compiled import compiled
from rarefy.acceleration._prepare import accepts, assembled, excerpt, tapped, weight_names
from rarefy.acceleration._regions import regions
from rarefy.kernels import Plan, join

ATEN = torch.ops.aten


class Two(nn.Module):
    """Arguments whose names are not those of the graph, and a weight that no chain can take."""

    def __init__(self):
        super().__init__()
        self.fc, self.free = nn.Linear(8, 5), nn.Parameter(torch.randn(5, 5))

    def forward(self, input, other):  # noqa: A002, D102 - the name is the test
        return (torch.relu(self.fc(input)) @ self.free).sum() + other


def with_plans(script, made, module):
    packed = [join([r.section(module) for r in one.chain.recipes]) for one in made]
    plans = [Plan(p, one.chain.program) for p, one in zip(packed, made, strict=True)]
    return compiled(script, module, lambda _module, number, inputs: plans[number].run(*inputs))


def test_what_a_chain_can_compute_is_a_piece_and_the_rest_has_a_reason(unit_of):
    unit = unit_of(Two(), input=(3, 8), other=(4,))
    ops = [part.op for piece in unit.pieces.values() for part in piece.parts]
    assert ops == ["linear", "relu"]
    ((node, why),) = unit.reasons.items()
    assert weight_names(node) == ["free"]
    assert "no step in a chain" in why


def test_shapes_are_those_of_the_example_though_a_batch_of_one_is_doubled(unit_of):
    unit = unit_of(Two(), input=(1, 8), other=(1,))
    first = next(iter(unit.pieces))
    assert unit.shape(first) == (1, 5)
    assert unit.size_or_shape(first) == (1, 5)
    assert unit.name("fc.weight") == "fc.weight"
    unit.path = "block"
    assert unit.name("fc.weight") == "block.fc.weight"


def test_arguments_are_told_by_their_order_not_by_the_graphs_names(unit_of):
    unit = unit_of(Two(), input=(3, 8), other=(4,))
    wanted = accepts(unit)
    assert wanted.names == ("input", "other")
    assert wanted.wanted["input"].sizes == (None, 8)
    values = wanted.values((torch.ones(6, 8),), {"other": torch.ones(2)})
    assert [tuple(v.shape) for v in values] == [(6, 8), (2,)]
    assert wanted.values((torch.ones(2), torch.ones(6, 8)), {}) is None


def test_assembled_code_gives_what_the_module_gives(unit_of):
    module = Two().eval()
    unit = unit_of(module, input=(3, 8), other=(4,))
    script, made = assembled(unit, regions(unit.nodes, unit.pieces))
    assert len(made) == 1
    x, other = torch.randn(6, 8), torch.randn(2)
    (found,) = with_plans(script, made, module)(module, x, other)
    assert torch.allclose(found, module(x, other), atol=1e-5)


def test_a_tap_gives_what_the_nodes_read_and_an_excerpt_computes_them_alone(unit_of, mlp):
    unit = unit_of(mlp, input=(3, 8))
    nodes = [n for n, piece in unit.pieces.items() if piece.layer is not None]
    x = torch.randn(4, 8)
    with torch.no_grad():
        first, second = compiled(tapped(unit, nodes), mlp, None)(mlp, x)
    assert torch.equal(first, x)
    assert torch.allclose(second, torch.relu(mlp[0](x)))
    script, made, inputs = excerpt(unit, nodes[1:], [nodes[1:]])
    assert [unit.shape(node) for node in inputs] == [(3, 16)]
    (found,) = with_plans(script, made, mlp)(mlp, second)
    assert torch.allclose(found, mlp(x), atol=1e-5)


def test_memory_that_is_written_in_place_is_chained_by_nobody(unit_of):
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x):
            seen = self.a(x).exp()
            half = seen[:, :4]
            half.relu_()
            return self.b(seen)

    unit = unit_of(Written(), x=(3, 8))
    assert [p.layer.name for p in unit.pieces.values() if p.layer] == ["a.weight"]
    assert list(unit.reasons.values()) == ["its memory is written in place"]
