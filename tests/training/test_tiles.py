"""Units of a compressed weight."""

import pytest
import torch

from rarefy.errors import InvariantError
from rarefy.patterns import Block, Column, NofM, Row, Unstructured
from rarefy.training._tiles import Tiles, tiles_of

SHAPE = (1, 6, 8, 3)
PATTERNS = [Unstructured(), Block(2, 4), Block(3, 1), Block(1, 8), Row()]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_units_lie_as_the_patterns_unit_scores(pattern):
    torch.manual_seed(0)
    tiles = tiles_of(pattern, SHAPE)
    scores = torch.randn(SHAPE, dtype=torch.float64)
    wanted = pattern.unit_scores(scores).flatten()
    assert tiles.size == wanted.numel()
    assert torch.allclose(tiles.of_rows(scores[0]).mean(1), wanted, rtol=0, atol=1e-15)
    kept = pattern.choose(pattern.unit_scores(scores), tiles.size // 2)
    places = pattern.expand(kept, SHAPE).flatten().nonzero().squeeze(1)
    shuffled = places[torch.randperm(places.numel())]
    units, slots = tiles.sort(shuffled)
    assert torch.equal(units, kept.flatten().nonzero().squeeze(1))
    assert torch.equal(shuffled[slots], tiles.places(units))
    assert torch.equal(tiles.places(units).flatten().sort().values, places)
    assert torch.equal(
        scores.flatten()[tiles.places(units)].mean(1), tiles.of_rows(scores[0])[units].mean(1)
    )


@pytest.mark.parametrize("pattern", [Block(2, 4), Row()], ids=str)
def test_a_part_of_the_rows_is_a_part_of_the_units(pattern):
    tiles = tiles_of(pattern, SHAPE)
    rows = torch.randn(SHAPE[1:])
    step = tiles.rows
    parts = [tiles.of_rows(rows[n : n + step]) for n in range(0, 6, step)]
    assert all(part.shape[0] == tiles.row_units for part in parts)
    assert torch.equal(torch.cat(parts), tiles.of_rows(rows))


def test_units_that_live_in_part_are_an_error():
    for places in ([0, 1, 2], [0, 1, 2, 4]):
        with pytest.raises(InvariantError, match="do not make whole units of 2 x 2"):
            Tiles((2, 4, 1), 2, 2).sort(torch.tensor(places))


def test_patterns_whose_units_are_not_chosen_one_by_one_have_none():
    assert tiles_of(NofM(2, 4), SHAPE) is None
    assert tiles_of(Column(), SHAPE) is None


def test_nothing_is_sorted_into_nothing():
    for tiles in (Tiles((2, 4, 1)), Tiles((2, 4, 1), 2, 2)):
        units, slots = tiles.sort(torch.empty(0, dtype=torch.int64))
        assert units.shape == (0,)
        assert slots.shape == (0, tiles.elements)
