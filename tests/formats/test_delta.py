"""Gaps between kept places."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import Delta, bytes_of, decode, encode, pack_bits
from rarefy.formats._kept import kept_of


def test_by_hand(matrix, tools):
    # Gaps 2, 3, 3, 7, 1 in fields up to 3: 7 is two escapes of 3 and a 1.
    fields = [2, 3, 3, 0, 0, 1, 1, 0]
    data = sum(field << 2 * place for place, field in enumerate(fields))
    assert tools.stored(matrix, "delta 2") == {
        "values": [1, 2, 3, 4, 5],
        "gaps": [data & 255, data >> 8],
    }
    assert encode(matrix, "delta 2").bytes == 20 + 2


def test_width_1_is_the_bitmask(matrix):
    mask = matrix != 0
    assert encode(matrix, "delta 1").parts["gaps"].tolist() == pack_bits(mask).tolist()


def test_the_end_is_covered(tools):
    # One value at place 2 of 11: a gap of 3, then 8 places to go are three escapes of 3.
    assert Delta(2).fields(tools.kept_at((11,), 2)) == 4
    assert Delta(2).fields(tools.kept_at((11,))) == 4  # 11 places
    assert Delta(8).fields(tools.kept_at((255,))) == 1
    assert Delta(8).fields(tools.kept_at((256,))) == 2
    assert Delta(3).fields(tools.kept_at((0,))) == 0


def test_the_best_width_is_taken(tools):
    kept = tools.kept_at((1, 1600), *range(9, 1600, 10))  # every gap is 10
    assert Delta().settled(kept) == Delta(4)
    assert Delta().bytes(kept) == Delta(4).bytes(kept) == 160 * 4 + 80
    assert str(Delta()), str(Delta(4)) == ("delta", "delta 4")


@pytest.mark.parametrize("density", [0.5, 0.1, 0.01, 0.001])
def test_the_expected_size_is_that_of_random_places(density):
    weight = (torch.rand(1000, 1000, generator=torch.Generator().manual_seed(0)) < density).float()
    kept = kept_of(weight)
    expected = bytes_of("delta", (1000, 1000), kept.count, 4) - kept.count * 4
    assert Delta().bytes(kept) - kept.count * 4 == pytest.approx(expected, rel=0.03)


def test_damage_is_refused(tools):
    def read(values, gaps, shape=(11,), width=2):
        arrays = {"values": values, "gaps": np.array(gaps, np.uint8)}
        return tools.read_back(Delta(width), shape, arrays)

    assert read([5], [3, 0]) == ([2], [5])
    with pytest.raises(FileError, match="values has 1 entries, not 2"):
        read([5], [0b0111, 0])
    with pytest.raises(FileError, match="lead beyond its end"):
        read([5, 6], [0, 0b00110000 | 3])
    with pytest.raises(FileError, match="no groups of 2 bits"):
        read([5], [3])
    with pytest.raises(FileError, match="cover at most 24 places of 25"):
        read([5], [3, 0], (25,))
    with pytest.raises(FileError, match="4 bytes, not 2"):  # further escapes than it needs
        read([5], [3, 0, 0, 0])
    with pytest.raises(FileError, match="width of its gaps is not known"):
        read([5], [3, 0], width=None)
    with pytest.raises(FileError, match="1 to 8 bits, not 9"):
        Delta(9)


def test_little_is_read_where_much_is_claimed():
    # Nobody can make a few bytes stand for terabytes.
    encoded = encode(torch.zeros(8, 255), "delta 8")
    assert encoded.bytes == 8
    huge = type(encoded)(encoded.format, (2**20, 2**20), encoded.dtype, encoded.parts)
    with pytest.raises(FileError, match="cover at most 2040 places"):
        decode(huge)
