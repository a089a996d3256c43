"""Kept places and values."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError, InvariantError
from rarefy.formats._kept import (
    field_bits,
    index_type,
    inputs_back,
    inputs_last,
    kept_of,
    sides,
    tally,
    weight_and_mask,
)


def test_without_a_mask_every_bit_but_plus_zero_counts(matrix):
    matrix[0, 0] = -0.0
    kept = kept_of(matrix)
    assert kept.places.tolist() == [0, 1, 4, 7, 14, 15]
    assert (kept.size, kept.count, kept.itemsize) == (16, 6, 4)
    assert kept.words[0] == 0x80000000
    assert kept.zeros.tolist() == []
    assert (kept.gaps.tolist(), kept.tail) == ([1, 1, 3, 3, 7, 1], 0)


def test_a_mask_keeps_zeros(matrix):
    mask = matrix != 0
    mask[2, 2] = True
    kept = kept_of(matrix, mask)
    assert kept.places.tolist() == [1, 4, 7, 10, 14, 15]
    assert kept.zeros.tolist() == [10]
    weight, found = weight_and_mask(kept)
    assert torch.equal(weight, matrix)
    assert torch.equal(found, mask)


def test_nothing_kept():
    kept = kept_of(torch.zeros(2, 3))
    assert (kept.count, kept.gaps.tolist(), kept.tail) == (0, [], 6)


def test_what_does_not_go_together_is_refused(matrix):
    with pytest.raises(InvariantError, match="5 removed weights are not zero"):
        kept_of(matrix, torch.zeros(4, 4, dtype=torch.bool))
    for mask in (torch.ones(4, 4), torch.ones(16, dtype=torch.bool)):
        with pytest.raises(FileError, match="a mask is bool"):
            kept_of(matrix, mask)
    with pytest.raises(FileError, match="wider than 8 bytes"):
        kept_of(torch.zeros(2, dtype=torch.complex128))


def test_the_matrix_is_first_side_by_the_rest():
    assert [sides(shape) for shape in ((), (5,), (3, 4), (2, 3, 5))] == [
        (1, 1),
        (1, 5),
        (3, 4),
        (2, 15),
    ]


def test_inputs_go_last_and_back():
    # 2 x 3 x 2: inputs 0, 1, 2 of kernel position 0 lie at 0, 2, 4, and shall at 0, 1, 2.
    places = np.arange(12)
    moved = inputs_last((2, 3, 2), places)
    assert moved.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert inputs_back((2, 3, 2), moved).tolist() == places.tolist()
    assert inputs_last((3, 4), places) is places
    assert inputs_back((3, 4), places) is places


def test_index_types_and_field_bits():
    assert [index_type(largest).itemsize for largest in (0, 2**31 - 1, 2**31)] == [4, 4, 8]
    assert [field_bits(values) for values in (0, 1, 2, 3, 4, 5, 256, 257)] == [
        *(0, 0, 1, 2, 2, 3, 8, 9)
    ]


@pytest.mark.parametrize("numbers", [[], [3, 1, 3], [10**9, 7, 7]])
def test_tally(numbers):
    different, often = tally(np.array(numbers, np.int64))
    assert different.tolist() == sorted(set(numbers))
    assert often.tolist() == [numbers.count(number) for number in different]
