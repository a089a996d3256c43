"""Coordinates."""

import numpy as np
import pytest

from rarefy.errors import FileError
from rarefy.formats import Coo, encode


def test_by_hand(matrix, tools):
    assert tools.stored(matrix, "coo") == {
        "values": [1, 2, 3, 4, 5],
        "rows": [0, 1, 1, 3, 3],
        "columns": [1, 0, 3, 2, 3],
    }
    assert encode(matrix, "coo").bytes == 5 * 12


def test_narrow_by_hand(matrix, tools):
    # 1, 4, 7, 14, 15 in four bits each.
    assert tools.stored(matrix, "coo narrow")["places"] == [0x41, 0xE7, 0x0F]
    assert encode(matrix, "coo narrow").bytes == 20 + 3


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ([0, 2], [0, 0], "not ascending places"),
        ([0, 1], [0, 3], "not among the 3"),
        ([0, -1], [0, 0], "not ascending places"),
        ([0, 0], [1, -1], "not among the 3"),
        ([0, 0], [1, 1], "not ascending places"),
        ([0], [1, 1], "1 entries, not 2"),
    ],
)
def test_what_cannot_be_is_refused(rows, columns, words, tools):
    arrays = {"rows": np.array(rows, np.int32), "columns": np.array(columns, np.int32)}
    with pytest.raises(FileError, match=words):
        tools.read_back(Coo(), (2, 3), {"values": [1, 2], **arrays})


def test_a_narrow_place_beyond_the_end_is_refused(tools):
    with pytest.raises(FileError, match="not ascending places"):
        tools.read_back(Coo(narrow=True), (3,), {"values": [1], "places": np.array([3], np.uint8)})
