"""Dead structure on masks drawn by hand."""

import torch

from rarefy.metrics import Dead, dead
from rarefy.targets import find


def bools(*rows):
    return torch.tensor([[letter == "#" for letter in row] for row in rows])


def test_rows_columns_and_collapse():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    masks = {"0.weight": bools("#..#", "....", ".#.."), "1.weight": bools("...", "...")}
    found = dead(masks, find(model))
    assert found["0.weight"] == Dead(outputs=(1,), inputs=(2,), collapsed=False)
    assert found["1.weight"] == Dead(outputs=(0, 1), inputs=(0, 1, 2), collapsed=True)


def test_a_channel_is_dead_only_at_every_kernel_position():
    model = torch.nn.Conv2d(2, 2, 2)
    mask = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    mask[1, 0, 1, 1] = True
    assert dead({"weight": mask}, find(model))["weight"] == Dead((0,), (1,), False)


def test_stacked_blocks_share_their_inputs():
    model = torch.nn.MultiheadAttention(2, 1)
    mask = torch.zeros(6, 2, dtype=torch.bool)
    mask[0, 0] = mask[5, 1] = True  # queries read input 0, values read input 1
    found = dead({"in_proj_weight": mask}, find(model))["in_proj_weight"]
    assert found == Dead((1, 2, 3, 4), (), False)


def test_groups_of_a_transposed_convolution_have_their_own():
    model = torch.nn.ConvTranspose1d(4, 2, 1, groups=2)  # weight: 4 inputs x 1 output x 1
    mask = torch.tensor([True, False, False, False]).reshape(4, 1, 1)
    assert dead({"weight": mask}, find(model))["weight"] == Dead((1,), (1, 2, 3), False)
