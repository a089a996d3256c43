"""Numbers drawn for a part are those of a draw of all."""

import pytest
import torch

from rarefy.training import _draws
from rarefy.training._draws import drawn_at


@pytest.mark.parametrize("draw", [torch.rand, torch.randn])
@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 33, 64, 79, 80, 81, 1_000, 1_007, 1_008])
def test_they_are_those_of_one_draw(monkeypatch, draw, size):
    monkeypatch.setattr(_draws, "CHUNK", 64)
    mine, all_at_once = (torch.Generator().manual_seed(3) for _ in range(2))
    found = drawn_at(torch.arange(size), size, draw, mine)
    assert torch.equal(found, draw(size, generator=all_at_once))
    assert torch.equal(mine.get_state(), all_at_once.get_state())


@pytest.mark.parametrize("draw", [torch.rand, torch.randn])
@pytest.mark.parametrize("size", [_draws.CHUNK + 5, _draws.CHUNK + 16, 2 * _draws.CHUNK + 100])
def test_only_what_is_asked_for_comes_back(draw, size):
    places = torch.randperm(size, generator=torch.Generator().manual_seed(0))[:500].sort().values
    found = drawn_at(places, size, draw, torch.Generator().manual_seed(3))
    assert torch.equal(found, draw(size, generator=torch.Generator().manual_seed(3))[places])


def test_rows_of_uniform_numbers_are_those_of_the_whole_weight():
    whole = torch.rand((13, 7, 3), generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    rows = [torch.rand((n, 7, 3), generator=generator) for n in (4, 4, 5)]
    assert torch.equal(torch.cat(rows), whole)


def test_no_place_is_no_number():
    nothing = torch.empty(0, dtype=torch.int64)
    assert drawn_at(nothing, 40, torch.randn, torch.Generator()).shape == (0,)
