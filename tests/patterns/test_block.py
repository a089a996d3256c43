"""Blocks of outputs x inputs."""

import pytest
import torch

from rarefy.errors import PatternError
from rarefy.patterns import Block


def test_the_best_tile_lives_whole():
    scores = torch.tensor(
        [
            [9.0, 0.0, 1.0, 1.0],
            [0.0, 0.0, 1.0, 1.0],
            [1.0, 1.0, 3.0, 3.0],
            [1.0, 1.0, 3.0, 3.0],
        ]
    )  # means 2.25, 1, 1, 3
    wanted = [[False, False, False, False]] * 2 + [[False, False, True, True]] * 2
    assert Block(2, 2).of(scores, 0.75).tolist() == wanted


def test_a_tile_is_one_kernel_position_deep():
    scores = torch.zeros(4, 2, 3)
    scores[:, :, 1] = 1.0
    mask = Block(4, 2).of(scores, 2 / 3)
    assert mask[:, :, 1].all()
    assert int(mask.sum()) == 8


def test_one_by_one_is_unstructured():
    torch.manual_seed(0)
    scores = torch.rand(6, 7)
    assert torch.equal(Block(1, 1).of(scores, 0.5), scores >= scores.flatten().topk(21)[0].min())


def test_tiles_can_be_permuted():
    torch.manual_seed(0)
    scores, order = torch.rand(8, 6), torch.randperm(4)
    rows = (2 * order[:, None] + torch.arange(2)).flatten()
    assert torch.equal(Block(2, 3).of(scores[rows], 0.5), Block(2, 3).of(scores, 0.5)[rows])


@pytest.mark.parametrize("block", [Block(4, 1), Block(1, 3)])
def test_what_does_not_divide_is_refused_with_both_sides(block):
    with pytest.raises(
        PatternError, match=rf"6 outputs x 4 inputs.*{block.rows}x{block.columns}.*skip="
    ):
        block.of(torch.ones(6, 4), 0.5)


@pytest.mark.parametrize("sides", [(0, 4), (4, 0), (-1, 1)])
def test_a_block_has_sides(sides):
    with pytest.raises(PatternError, match="at least one row and one column"):
        Block(*sides)
