"""Blocks."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError, PatternError
from rarefy.formats import Bsr, bytes_of, decode, encode
from rarefy.patterns import Block


def test_by_hand(matrix, tools):
    assert tools.stored(matrix, "bsr 2x2") == {
        "values": [0, 1, 2, 0, 0, 0, 0, 3, 0, 0, 4, 5],
        "columns": [0, 1, 1],
        "starts": [0, 2, 3],
        "zeros": [],
    }
    assert encode(matrix, "bsr 2x2").bytes == 12 * 4 + 3 * 4 + 3 * 4
    assert encode(matrix, "bsr 2x2 narrow").bytes == 12 * 4 + 1 + 1  # 3 x 1 bit; 3 x 2 bits


def test_blocks_that_do_not_divide_the_matrix_are_filled_up():
    weight = torch.ones(3, 5)
    encoded = encode(weight, "bsr 2x4")
    assert encoded.parts["values"].numel() == 4 * 8
    assert torch.equal(decode(encoded)[0], weight)


def test_a_kept_zero_in_a_block_stays_kept(matrix):
    mask = matrix != 0
    mask[0, 0] = mask[2, 0] = True
    encoded = encode(matrix, "bsr 2x2", mask)
    assert encoded.parts["zeros"].tolist() == [0, 8]
    assert encoded.parts["columns"].tolist() == [0, 1, 0, 1]
    assert torch.equal(decode(encoded)[1], mask)


def test_the_pattern_s_blocks_are_full_blocks_in_a_convolution():
    pattern = Block(2, 2)
    units = torch.zeros(1, 2, 2, 9, dtype=torch.bool)
    units[0, 0, 1, 4] = units[0, 1, 0, 8] = True
    mask = pattern.expand(units, (1, 4, 4, 9)).reshape(4, 4, 3, 3)
    encoded = encode(mask.float(), "bsr 2x2")
    assert encoded.parts["values"].tolist() == [1.0] * 8
    assert torch.equal(decode(encoded)[1], mask)


def test_expected_at_random(tools):
    # A quarter kept, blocks of two: 1 - 0.75 ** 2 of 32 blocks hold something, which is 14.
    assert bytes_of("bsr 1x2", (8, 8), 16, 4) == 14 * 8 + 14 * 4 + 9 * 4
    kept = tools.kept_at((8, 8), *range(0, 32, 2))
    assert (
        Bsr(1, 2).thinned(kept, Bsr(1, 2).bytes(kept))(0) == Bsr(1, 2).expected((8, 8), 0, 4) == 36
    )
    kept = tools.kept_at((8, 8), *range(16))
    assert (
        Bsr(1, 2).bytes(kept) == Bsr(1, 2).thinned(kept, Bsr(1, 2).bytes(kept))(16) == 8 * 12 + 36
    )
    assert Bsr(1, 2).thinned(kept, Bsr(1, 2).bytes(kept))(8) == 4 * 12 + 36


def test_what_cannot_be_is_refused(tools):
    arrays = {"values": [1, 2, 3, 4], "zeros": np.array([], np.int32)}
    arrays |= {"columns": np.array([1], np.int32), "starts": np.array([0, 1], np.int32)}
    assert tools.read_back(Bsr(2, 2), (2, 4), arrays) == ([2, 3, 6, 7], [1, 2, 3, 4])
    with pytest.raises(FileError, match="beyond the matrix"):
        tools.read_back(Bsr(2, 2), (2, 3), arrays)
    with pytest.raises(FileError, match="fill no blocks of 4"):
        tools.read_back(Bsr(2, 2), (2, 4), arrays | {"values": [1, 2, 3]})
    with pytest.raises(FileError, match="not among the 1"):
        tools.read_back(Bsr(2, 2), (2, 2), arrays)
    with pytest.raises(PatternError, match="got 0x2"):
        Bsr(0, 2)
