"""Who goes, by hand."""

import torch

from rarefy.growth import smallest, smallest_of_each_sign

EVERYBODY = torch.ones(6, dtype=torch.bool)


def went(gone):
    return gone.nonzero().flatten().tolist()


def test_the_smallest_go():
    weight = torch.tensor([0.5, -0.1, 0.3, 0.0, -0.2, 0.4])
    kept = torch.tensor([True, True, True, False, True, True])
    assert went(smallest(weight.abs(), weight.sign(), kept, 2)) == [1, 4]


def test_among_equals_the_later_goes():
    assert went(smallest(torch.ones(6), torch.ones(6), EVERYBODY, 2)) == [4, 5]


def test_each_sign_loses_its_share():
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, -0.1, -0.2])
    # a third of four is one, a third of two is none; the one over is taken from the larger side
    assert went(smallest_of_each_sign(weight.abs(), weight.sign(), EVERYBODY, 2)) == [0, 1]
    # a half: two of four, one of two
    assert went(smallest_of_each_sign(weight.abs(), weight.sign(), EVERYBODY, 3)) == [0, 1, 4]


def test_the_largest_negative_goes_first():
    weight = torch.tensor([-5.0, -1.0, -3.0, 9.0, 8.0, 7.0])
    assert went(smallest_of_each_sign(weight.abs(), weight.sign(), EVERYBODY, 2)) == [1, 5]


def test_zeros_count_as_positive():
    weight = torch.tensor([0.0, 0.0, 3.0, -1.0, -2.0, -3.0])
    assert went(smallest_of_each_sign(weight.abs(), weight.sign(), EVERYBODY, 2)) == [1, 3]


def test_one_side_only_is_a_plain_drop():
    weight = torch.tensor([3.0, 1.0, 2.0])
    kept = torch.ones(3, dtype=torch.bool)
    assert went(smallest_of_each_sign(weight, weight.sign(), kept, 2)) == [1, 2]


def test_nobody_goes_from_nobody():
    kept = torch.zeros(4, dtype=torch.bool)
    assert went(smallest_of_each_sign(torch.ones(4), torch.ones(4), kept, 0)) == []


def test_of_equal_sides_the_negative_one_gives_the_odd_one():
    weight = torch.tensor([1.0, 2.0, 3.0, -1.0, -2.0, -3.0])
    gone = smallest_of_each_sign(weight.abs(), weight.sign(), EVERYBODY, 5)
    assert went(gone) == [0, 1, 3, 4, 5]
