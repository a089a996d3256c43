"""Bitmask storage."""

import numpy as np
import pytest

from rarefy.errors import FileError
from rarefy.formats import Bitmask, encode


def test_by_hand(matrix, tools):
    # Places 1, 4, 7 in the first byte and 14, 15 in the second.
    assert tools.stored(matrix, "bitmask") == {"values": [1, 2, 3, 4, 5], "bits": [146, 192]}
    assert encode(matrix, "bitmask").bytes == 2 + 20


def test_another_number_of_values_is_refused(tools):
    arrays = {"values": [1, 2], "bits": np.array([0b101], np.uint8)}
    assert tools.read_back(Bitmask(), (3,), arrays) == ([0, 2], [1, 2])
    with pytest.raises(FileError, match="values has 2 entries, not 3"):
        tools.read_back(Bitmask(), (3,), arrays | {"bits": np.array([0b111], np.uint8)})
    with pytest.raises(FileError, match="after its last element"):
        tools.read_back(Bitmask(), (2,), arrays)
