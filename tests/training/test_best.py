"""The best of scores in parts are those that one ranking chooses."""

import pytest
import torch

from rarefy._places import where
from rarefy._topk import keep_largest
from rarefy.training import _best
from rarefy.training._best import Best


@pytest.mark.parametrize("few", [0, 10, 1 << 16])
@pytest.mark.parametrize("count", [0, 1, 7, 100, 999])
@pytest.mark.parametrize("values", [3, 50, 10**6])
def test_they_are_those_of_one_ranking(monkeypatch, few, count, values):
    monkeypatch.setattr(_best, "_FEW", few)
    torch.manual_seed(values)
    scores = torch.randint(values, (1_000,)).double()
    beside = torch.arange(2_000).view(1_000, 2)
    best = Best(count)
    for first in range(0, 1_000, 130):
        best.offer(scores[first : first + 130], first, beside[first : first + 130])
    units, kept = best.chosen()
    assert torch.equal(units, where(keep_largest(scores, count)))
    assert torch.equal(beside[units], kept if count else beside[:0])


def test_what_is_no_candidate_never_comes_in():
    best = Best(3)
    best.offer(torch.tensor([-torch.inf, 1.0, -torch.inf]), 0)
    best.offer(torch.tensor([0.5, -torch.inf]), 3)
    units, beside = best.chosen()
    assert units.tolist() == [1, 3]
    assert beside is None


def test_a_guess_leaves_the_best_where_the_pool_is_full():
    torch.manual_seed(0)
    scores = torch.rand(1_000)
    for least, full in ((0.5, True), (0.95, False)):
        best = Best(100, least)
        best.offer(scores, 0)
        assert best.full is full
        if full:
            assert torch.equal(best.chosen()[0], where(keep_largest(scores, 100)))


def test_minus_zero_is_zero():
    best = Best(2)
    best.offer(torch.tensor([-0.0, 0.0]), 0)
    best.offer(torch.tensor([0.0, -0.0]), 2)
    assert best.chosen()[0].tolist() == [0, 1]
