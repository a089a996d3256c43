"""Rows and columns."""

import torch

from rarefy.patterns import Column, Row

# outputs x inputs: rows sum to 6, 3, 9 and columns to 6, 12
SCORES = torch.tensor([[2.0, 4.0], [1.0, 2.0], [3.0, 6.0]])


def test_the_best_row_lives_whole():
    assert Row().of(SCORES, 2 / 3).tolist() == [[False, False], [False, False], [True, True]]


def test_the_best_column_lives_whole():
    assert Column().of(SCORES, 0.5).tolist() == [[False, True]] * 3


def test_a_row_holds_every_input_and_kernel_position():
    scores = torch.zeros(2, 3, 5)
    scores[1, 2, 4] = 1.0
    mask = Row().of(scores, 0.5)
    assert not mask[0].any()
    assert mask[1].all()


def test_a_column_of_one_group_leaves_the_others_alone():
    scores = torch.zeros(2, 3, 4, 1)
    scores[1, :, 2] = 1.0
    kept = Column().expand(Column().choose(Column().unit_scores(scores), 1), (2, 3, 4, 1))
    assert not kept[0].any()
    assert kept[1, :, 2].all()
    assert kept.sum() == 3


def test_rows_follow_a_permutation_of_the_outputs():
    torch.manual_seed(0)
    scores, order = torch.rand(8, 5), torch.randperm(8)
    assert torch.equal(Row().of(scores[order], 0.5), Row().of(scores, 0.5)[order])


def test_columns_follow_a_permutation_of_the_inputs():
    torch.manual_seed(0)
    scores, order = torch.rand(5, 8), torch.randperm(8)
    assert torch.equal(Column().of(scores[:, order], 0.5), Column().of(scores, 0.5)[:, order])


def test_whole_numbers_are_summed_not_rounded():
    assert Row().of(torch.tensor([[1, 1], [1, 2]]), 0.5).tolist() == [[False] * 2, [True] * 2]
