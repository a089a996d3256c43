"""n of every m inputs at a fixed kernel position."""

import pytest
import torch

from rarefy.errors import BudgetError, PatternError
from rarefy.patterns import NofM


def test_two_of_four_by_hand():
    scores = torch.tensor([[1.0, 5.0, 2.0, 4.0, 8.0, 7.0, 6.0, 9.0]])
    assert NofM(2, 4).of(scores).tolist() == [[False, True, False, True, True, False, False, True]]


def test_n_counts_what_is_kept():
    assert int(NofM(1, 4).of(torch.rand(3, 8)).sum()) == 3 * 2


def test_equal_scores_keep_the_first_of_each_group():
    assert NofM(2, 4).of(torch.zeros(1, 8)).tolist() == [[True, True, False, False] * 2]
    mixed = torch.tensor([[0.0, -0.0, 0.0, -0.0]])
    assert NofM(2, 4).of(mixed).tolist() == [[True, True, False, False]]


def test_groups_run_along_the_inputs_and_never_mix_kernel_positions():
    torch.manual_seed(0)
    scores = torch.rand(4, 8, 3, 3)
    mask = NofM(2, 4).of(scores)
    assert torch.equal(mask.view(4, 2, 4, 9).sum(2), torch.full((4, 2, 9), 2))
    for row in range(3):
        for column in range(3):
            alone = NofM(2, 4).of(scores[:, :, row, column])
            assert torch.equal(mask[:, :, row, column], alone)


def test_it_follows_a_permutation_of_the_outputs():
    torch.manual_seed(0)
    scores, order = torch.rand(6, 8), torch.randperm(6)
    assert torch.equal(NofM(2, 4).of(scores[order]), NofM(2, 4).of(scores)[order])


def test_it_follows_a_permutation_inside_the_groups():
    torch.manual_seed(0)
    scores = torch.rand(6, 8)
    order = torch.tensor([2, 0, 3, 1, 5, 4, 7, 6])
    assert torch.equal(NofM(2, 4).of(scores[:, order]), NofM(2, 4).of(scores)[:, order])


def test_infinite_scores_rank_as_numbers_do():
    scores = torch.tensor([[float("inf"), -float("inf"), 0.0, float("inf")]])
    assert NofM(2, 4).of(scores).tolist() == [[True, False, False, True]]


def test_inputs_that_m_does_not_divide_are_refused():
    with pytest.raises(PatternError, match=r"6 inputs are no multiple of m=4.*skip="):
        NofM(2, 4).of(torch.ones(4, 6))


def test_a_count_of_its_own_is_refused_by_name():
    with pytest.raises(BudgetError, match="head: 2:4 keeps 4 of 8, not 3"):
        NofM(2, 4).choose(torch.ones(1, 1, 8, 1), 3, name="head")


@pytest.mark.parametrize("numbers", [(4, 4), (4, 2), (0, 4), (-1, 2)])
def test_what_keeps_nothing_or_everything_is_no_pattern(numbers):
    with pytest.raises(PatternError, match="0 < n < m"):
        NofM(*numbers)
