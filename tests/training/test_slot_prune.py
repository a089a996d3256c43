"""Pruning among what lives; the whole of it is tested with the Sparsifier, in test_compressed."""

from dataclasses import replace

import pytest
import torch

from rarefy import methods, patterns
from rarefy.training import Plan
from rarefy.training._slot_exchange import Slots
from rarefy.training._slot_prune import removes, surviving
from rarefy.training._tiles import tiles_of

SHAPE = (1, 4, 6, 1)


def plan_of(pattern):
    return Plan(method=replace(methods.one_shot(), pattern=pattern), sparsity=0.5)


@pytest.mark.parametrize(
    ("sparsity", "wanted"), [(0.25, None), (0.5, False), (0.6, True), (0.9, True)]
)
def test_it_is_said_whether_anything_goes(sparsity, wanted):
    for pattern, shape in ((patterns.Unstructured(), SHAPE), (patterns.Block(2, 2), SHAPE)):
        assert removes(plan_of(pattern), {"w": shape}, {"w": 12}, sparsity) is wanted


def test_patterns_without_units_of_their_own_are_counted_in_weights():
    assert removes(plan_of(patterns.Column()), {"w": SHAPE}, {"w": 12}, 0.6) is True


def test_ties_go_to_the_lower_flat_index_whatever_the_slot():
    places = torch.tensor([20, 3, 11, 7])
    slots = Slots(tiles_of(patterns.Unstructured(), SHAPE), places, torch.ones(4), None)
    found = surviving(plan_of(patterns.Unstructured()), {"w": slots}, {"w": (4, 6)}, 1 - 2 / 24, 0)
    assert found["w"].places.tolist() == [3, 7]
    assert found["w"].slots.tolist() == [1, 3]


def test_whole_blocks_go():
    block = patterns.Block(2, 3)
    tiles = tiles_of(block, SHAPE)
    places = tiles.places(torch.tensor([0, 3])).flatten().flip(0)
    values = torch.cat([torch.full((6,), 2.0), torch.full((6,), 1.0)])
    slots = Slots(tiles, places, values, None)
    found = surviving(plan_of(block), {"w": slots}, {"w": (4, 6)}, 0.75, 0)
    assert found["w"].places.tolist() == tiles.places(torch.tensor([3]))[0].tolist()
