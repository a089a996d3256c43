"""Dense storage."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import Dense, decode, encode


def test_by_hand(matrix, tools):
    assert tools.stored(matrix, "dense") == {"values": matrix.flatten().tolist(), "zeros": []}
    assert encode(matrix, "dense").bytes == 64


def test_a_kept_zero_is_listed(matrix):
    mask = matrix != 0
    mask[2, 2] = True
    encoded = encode(matrix, "dense", mask)
    assert encoded.parts["zeros"].tolist() == [10]
    assert encoded.bytes == 68
    assert torch.equal(decode(encoded)[1], mask)


def test_nothing_is_gained_by_removing(tools):
    kept = tools.kept_at((8, 8), *range(16))
    assert (
        Dense().thinned(kept, Dense().bytes(kept))(16)
        == Dense().thinned(kept, Dense().bytes(kept))(0)
        == 256
    )


def test_another_number_of_values_is_refused(tools):
    with pytest.raises(FileError, match="values has 3 entries, not 4"):
        tools.read_back(Dense(), (2, 2), {"values": [1, 2, 3], "zeros": []})
