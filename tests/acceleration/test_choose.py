"""What runs sparse: decided from told times, layer by layer and region by region."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._choose import Wish, choose, row_of
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import Timings


class Told(Stopwatch):
    """Gives the told seconds: for the layers in their order, and for regions by name."""

    def __init__(self, layers, **regions):
        super().__init__()
        self.layers, self.regions, self.names = list(layers), regions, []

    def compare(self, calls):  # noqa: D102
        self.names.append(tuple(calls))
        if "whole" in calls:
            return {"dense": 1.0, **self.regions}
        return {"dense": 1.0, **dict.fromkeys(set(calls) - {"dense"}, self.layers.pop(0))}


def chosen(unit, stopwatch, wish=None):
    return choose(unit, Judge(0.1, stopwatch, Timings(None)), wish or Wish())


@pytest.fixture
def unit(mlp, unit_of):
    """The traced net."""
    return unit_of(mlp, input=(3, 8))


def test_a_region_that_wins_is_taken_whole(unit):
    choice = chosen(unit, Told([0.5, 0.4], whole=0.5))
    assert [len(region) for region in choice.regions] == [3]
    assert choice.layers["0.weight"].kept
    assert choice.layers["2.weight"].why == "2.50x dense alone"
    (chain,) = choice.chains
    assert (chain.kept, chain.steps) == (True, ["linear", "relu", "linear"])
    assert chain.layers == ["0.weight", "2.weight"]
    layer = next(p.layer for p in unit.pieces.values() if p.layer is not None)
    assert row_of(choice, layer) is choice.layers[layer.name]


def test_a_region_that_misses_the_margin_stays_dense(unit):
    choice = chosen(unit, Told([0.5, 0.4], whole=0.95))
    assert choice.regions == []
    assert not choice.layers["0.weight"].kept
    assert "1.1x is wanted" in choice.chains[0].why
    assert "1.1x is wanted" in choice.layers["0.weight"].why


def test_a_layer_that_loses_alone_is_cut_out_where_that_is_faster(unit):
    stopwatch = Told([0.5, 2.0], whole=0.8, cut=0.6)
    choice = chosen(unit, stopwatch)
    assert set(stopwatch.names[-1]) == {"dense", "whole", "cut"}
    assert choice.layers["0.weight"].kept
    assert not choice.layers["2.weight"].kept
    assert [len(region) for region in choice.regions] == [2]


def test_a_layer_that_loses_alone_stays_where_cutting_would_cost_more(unit):
    choice = chosen(unit, Told([0.5, 2.0], whole=0.6, cut=0.8))
    assert choice.layers["2.weight"].kept
    assert "cutting would cost more" in choice.layers["2.weight"].why


def test_for_memory_every_sparse_layer_is_taken(unit):
    choice = chosen(unit, Told([2.0, 2.0], whole=3.0), Wish("memory"))
    assert all(row.kept for row in choice.layers.values())


@pytest.mark.parametrize(
    ("fastest", "precision"),
    [
        ("whole", {"0.weight": "int8"}),
        ("whole in low precision", {"0.weight": "int8", "2.weight": "int8"}),
        ("whole in float32", {}),
    ],
)
def test_values_are_rounded_where_that_is_faster(unit, fastest, precision):
    class Rounded(Told):
        """The first layer is faster in int8, the second in float32."""

        def compare(self, calls):
            if "int8" in calls:
                self.turn = not getattr(self, "turn", False)
                return {"dense": 1.0, "float32": 0.5, "int8": 0.25 if self.turn else 0.6}
            return {**dict.fromkeys(calls, 1.0), fastest: 0.4}

    kinds = ("int8",)
    wish = Wish(precision="int8", rounded={"0.weight": kinds, "2.weight": kinds})
    choice = chosen(unit, Rounded([]), wish)
    assert choice.precision == precision
    assert choice.layers["0.weight"].sparse == 0.25
    assert choice.layers["2.weight"].precision == precision.get("2.weight", "float32")
    assert "one chain" in choice.chains[0].why


def test_a_layer_with_too_few_zeros_is_not_timed(mlp, unit_of):
    with torch.no_grad():
        mlp[0].weight.fill_(1)
    stopwatch = Told([0.5], whole=0.5, cut=0.6)
    choice = chosen(unit_of(mlp, input=(3, 8)), stopwatch)
    assert choice.layers["0.weight"].dense is None
    assert "too few to skip" in choice.layers["0.weight"].why
    assert len(stopwatch.names) == 2


def test_a_net_without_zeros_has_no_chain(unit_of):
    choice = chosen(unit_of(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), input=(3, 8)), Told([]))
    assert choice.regions == choice.chains == []
