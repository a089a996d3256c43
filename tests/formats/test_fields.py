"""Fields of a few bits."""

import numpy as np
import pytest

from rarefy.errors import FileError
from rarefy.formats import _fields
from rarefy.formats._fields import pack_fields, packed_size, unpack_fields


def test_the_lowest_bit_comes_first():
    # 1, 2, 3 in three bits: 100 010 110 from the lowest, so 0b11010001 and a 0.
    assert pack_fields(np.array([1, 2, 3]), 3).tolist() == [0b11010001, 0]
    assert unpack_fields(np.array([0b11010001, 0], np.uint8), 3, 3).tolist() == [1, 2, 3]


@pytest.mark.parametrize("width", [0, 1, 5, 8, 9, 16, 17, 31, 33, 63])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_round_trip(width, count):
    numbers = np.random.default_rng(0).integers(0, 2**width, count)
    data = pack_fields(numbers, width)
    assert len(data) == packed_size(count, width)
    assert unpack_fields(data, width, count).tolist() == numbers.tolist()


def test_pieces_meet(monkeypatch):
    numbers = np.arange(50) % 32
    whole = pack_fields(numbers, 5)
    monkeypatch.setattr(_fields, "_AT_ONCE", 8)
    assert pack_fields(numbers, 5).tolist() == whole.tolist()
    assert unpack_fields(whole, 5, 50).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros(3, np.uint8), "are 2 bytes"),
        (np.zeros(2, np.int8), "found int8"),
        (np.zeros((2, 1), np.uint8), "are 2 bytes"),
        (np.array([0, 2], np.uint8), "after the last of 3 fields"),
    ],
)
def test_damage_is_refused(data, words):
    with pytest.raises(FileError, match=words):
        unpack_fields(data, 3, 3)
