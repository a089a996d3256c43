"""Magnitude and chance."""

import torch

from rarefy.scores import magnitude, random


def test_magnitude_is_the_distance_from_zero():
    assert magnitude(torch.tensor([-3.0, 0.0, 2.0])).tolist() == [3.0, 0.0, 2.0]


def test_chance_does_not_look_at_the_weight():
    one = random(torch.zeros(5, 4), torch.Generator().manual_seed(7))
    other = random(torch.full((5, 4), 1e6), torch.Generator().manual_seed(7))
    assert torch.equal(one, other)


def test_another_seed_draws_other_numbers():
    one = random(torch.zeros(50), torch.Generator().manual_seed(7))
    assert not torch.equal(one, random(torch.zeros(50), torch.Generator().manual_seed(8)))


def test_the_same_numbers_are_drawn_for_every_dtype():
    half = random(torch.zeros(50, dtype=torch.bfloat16), torch.Generator().manual_seed(7))
    assert torch.equal(half, random(torch.zeros(50), torch.Generator().manual_seed(7)))
    assert ((half >= 0) & (half < 1)).all()
