"""Which nodes are computed together: by level, by touch and by a shared first input."""

import torch
from torch import nn
from torch.nn import functional

from rarefy.acceleration._regions import regions


class Attention(nn.Module):
    """Queries, keys and values of one input, with a softmax that no chain has between."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):  # noqa: D102
        mixed = torch.softmax(self.q(x) * self.k(x), -1) * self.v(x)
        return self.o(mixed) + x


class Skip(nn.Module):
    """A path that leaves the region and comes back."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):  # noqa: D102
        y = torch.relu(self.a(x))
        return self.b(y) + torch.sin(y)


def found(unit):
    return [
        [part.op for node in region for part in unit.pieces[node].parts]
        for region in regions(unit.nodes, unit.pieces)
    ]


def test_layers_that_touch_are_one_region(unit_of, mlp):
    assert found(unit_of(mlp, input=(3, 8))) == [["linear", "relu", "linear"]]


def test_queries_keys_and_values_run_together_and_the_rest_after_the_softmax(unit_of):
    unit = unit_of(Attention(), x=(3, 4))
    first, second = regions(unit.nodes, unit.pieces)
    names = [unit.pieces[n].layer.name for n in first if unit.pieces[n].layer]
    assert names == ["q.weight", "k.weight", "v.weight"]
    assert [unit.pieces[n].parts[0].op for n in second] == ["mul", "linear", "add"]


def test_a_region_never_waits_for_itself(unit_of):
    assert found(unit_of(Skip(), x=(3, 4))) == [["linear", "relu", "linear"]]


def test_regions_without_a_weight_are_dropped(unit_of):
    class Bare(nn.Module):
        def forward(self, x):
            return functional.gelu(torch.relu(x))

    assert found(unit_of(Bare(), x=(3, 4))) == []


def test_what_was_put_aside_cuts_a_region_in_two(unit_of, mlp):
    unit = unit_of(mlp, input=(3, 8))
    relu = [n for n, piece in unit.pieces.items() if piece.layer is None]
    left = {n: piece for n, piece in unit.pieces.items() if n not in relu}
    assert [len(region) for region in regions(unit.nodes, left)] == [1, 1]
