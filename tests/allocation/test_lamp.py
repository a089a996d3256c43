"""LAMP by hand: [1, 2, 3] becomes 1/14, 4/13, 1."""

import pytest
import torch

from rarefy._types import Units
from rarefy.allocation import lamp
from rarefy.allocation._lamp import lamp_scores


def scored(*values):
    scores = torch.tensor(values)
    return Units(len(values), len(values), (len(values), 1), lambda: scores)


def test_the_published_example():
    found = lamp_scores(torch.tensor([2.0, 3.0, 1.0]))
    torch.testing.assert_close(found, torch.tensor([4 / 13, 1.0, 1 / 14], dtype=torch.float64))


def slow(scores):
    """By the definition, with ties as the selection breaks them: the earlier one is larger."""
    values = scores.flatten().double().tolist()
    order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    found = [0.0] * len(values)
    below = 0.0
    for place in order:
        below += values[place] ** 2
        found[place] = values[place] ** 2 / below if below else 0.0
    return torch.tensor(found, dtype=torch.float64).reshape(scores.shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_it_agrees_with_the_definition(dtype):
    torch.manual_seed(0)
    scores = torch.rand(6, 5).mul(8).round().to(dtype)  # heavy ties
    torch.testing.assert_close(lamp_scores(scores), slow(scores))


def test_a_scale_changes_nothing():
    torch.manual_seed(0)
    scores = torch.rand(30)
    torch.testing.assert_close(lamp_scores(scores * 1e-12), lamp_scores(scores))


def test_zeros_score_zero_and_the_removed_stay_removed():
    found = lamp_scores(torch.tensor([0.0, 2.0, -float("inf"), 0.0]))
    assert found.tolist() == [0.0, 1.0, -float("inf"), 0.0]
    assert lamp_scores(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_small_weights_are_not_emptied_by_large_ones():
    units = {"large": scored(100.0, 200.0, 300.0), "small": scored(0.1, 0.2, 0.3)}
    # twice 1/14, 4/13, 1: ties between the two go to the earlier
    assert lamp(units, 2, minimum=0) == {"large": 1, "small": 1}
    assert lamp(units, 3, minimum=0) == {"large": 2, "small": 1}
    assert lamp(units, 5, minimum=0) == {"large": 3, "small": 2}
