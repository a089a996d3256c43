"""Runs of zeros, with fillers."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import RunLength, bytes_of, decode, encode
from rarefy.formats._kept import kept_of


def test_by_hand(matrix, tools):
    # Runs 1, 2, 2, 6, 0 in fields up to 3: 6 is a run of 3 with a filler, then 2.
    data = sum(run << 2 * place for place, run in enumerate([1, 2, 2, 3, 2, 0]))
    assert tools.stored(matrix, "run_length 2") == {
        "values": [1, 2, 3, 0, 4, 5],
        "runs": [data & 255, data >> 8],
        "zeros": [],
    }
    assert encode(matrix, "run_length 2").bytes == 24 + 2


def test_a_kept_zero_is_no_filler(matrix):
    mask = matrix != 0
    mask[2, 3] = True  # place 11, exactly where the filler stands: 7 + 4
    encoded = encode(matrix, "run_length 2", mask)
    assert encoded.parts["values"].tolist() == [1, 2, 3, 0, 4, 5]
    assert encoded.parts["zeros"].tolist() == [11]
    assert torch.equal(decode(encoded)[1], mask)


def test_the_best_width_weighs_fillers_against_fields(tools):
    kept = tools.kept_at((1, 1600), *range(9, 1600, 10))  # every run is 9
    assert RunLength().settled(kept) == RunLength(4)
    assert RunLength().bytes(kept) == 160 * 4 + 80
    assert RunLength(3).bytes(kept) == 320 * 4 + 120
    assert RunLength(16).settled(kept) == RunLength(16)


def test_fillers_at_random():
    # q / (1 - q) fillers a value, with q = (1 - p)^(2^b): at a tenth and 4 bits 0.2275.
    assert bytes_of("run_length 4", (1000, 1000), 100_000, 1) == 122_745 + 61_373
    weight = (torch.rand(1000, 1000, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    kept = kept_of(weight)
    expected = bytes_of("run_length", (1000, 1000), kept.count, 4)
    assert RunLength().bytes(kept) == pytest.approx(expected, rel=0.01)
    assert bytes_of("run_length", (10, 10), 0, 4) == 0


def test_damage_is_refused(tools):
    arrays = {"values": [5, 6], "runs": np.array([0b0110], np.uint8), "zeros": np.array([], "<i4")}
    assert tools.read_back(RunLength(2), (5,), arrays) == ([2, 4], [5, 6])
    with pytest.raises(FileError, match="beyond its end"):
        tools.read_back(RunLength(2), (4,), arrays)
    with pytest.raises(FileError, match="width of its runs"):
        tools.read_back(RunLength(), (5,), arrays)
    with pytest.raises(FileError, match="1 to 16 bits, not 0"):
        RunLength(0)
