"""n:m slots."""

import numpy as np
import pytest
import torch

from rarefy.errors import BudgetError, FileError, PatternError
from rarefy.formats import NofM, bytes_of, decode, encode
from rarefy.formats._kept import kept_of
from rarefy.patterns import NofM as Pattern


def test_by_hand(matrix, tools):
    # A slot that is not needed is a zero at the lowest free place.
    slots = [0, 1, 0, 3, 0, 1, 2, 3]
    data = sum(slot << 2 * place for place, slot in enumerate(slots))
    assert tools.stored(matrix, "2:4") == {
        "values": [0, 1, 2, 3, 0, 0, 4, 5],
        "places": [data & 255, data >> 8],
        "zeros": [],
    }
    assert encode(matrix, "2:4").bytes == 32 + 2


@pytest.mark.parametrize(
    ("words", "itemsize", "share"),
    [("2:4", 2, 0.5625), ("2:4", 1, 0.625), ("1:4", 2, 0.28125), ("4:8", 2, 0.59375)],
)
def test_shares_of_dense(words, itemsize, share):
    assert bytes_of(words, (64, 64), 64, itemsize) == 64 * 64 * itemsize * share


def test_a_short_last_group_and_a_full_one(tools):
    weight = torch.tensor([[1.0, 2.0, 0.0, 0.0, 3.0]])
    encoded = encode(weight, "2:4")
    assert encoded.parts["values"].tolist() == [1, 2, 3, 0]
    assert torch.equal(decode(encoded)[0], weight)
    assert NofM(2, 4).fits(tools.kept_at((1, 4), 0, 3))
    assert not NofM(2, 4).fits(tools.kept_at((1, 4), 0, 2, 3))


def test_groups_of_a_convolution_run_along_its_inputs():
    scores = torch.rand(1, 4, 8, 9)
    mask = Pattern(2, 4).choose(scores, 4 * 8 * 9 // 2).reshape(4, 8, 3, 3)
    weight = mask.float()
    assert NofM(2, 4).fits(kept_of(weight))
    assert torch.equal(decode(encode(weight, "2:4"))[1], mask)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BudgetError, match="fewer than 9 slots"):
        bytes_of("2:4", (4, 4), 9, 4)
    with pytest.raises(PatternError, match="more than 2 of 4 inputs"):
        encode(torch.ones(4, 4), "2:4")
    with pytest.raises(PatternError, match="0 < n < m"):
        NofM(4, 4)


def test_damage_is_refused(tools):
    arrays = {"values": [5, 6], "zeros": np.array([], "<i4"), "places": np.array([0b1001], "u1")}
    assert tools.read_back(NofM(2, 4), (1, 4), arrays) == ([1, 2], [5, 6])
    for places in (0b0110, 0b0101):
        with pytest.raises(FileError, match="not ascending places of 4"):
            tools.read_back(NofM(2, 4), (1, 4), arrays | {"places": np.array([places], "u1")})
    with pytest.raises(FileError, match="beyond its row"):
        tools.read_back(NofM(2, 4), (1, 2), arrays)
    with pytest.raises(FileError, match="2 entries, not 4"):
        tools.read_back(NofM(2, 4), (2, 4), arrays)
    # Three places take two bits, which could say 3.
    arrays = {"values": [5], "zeros": np.array([], "<i4"), "places": np.array([3], "u1")}
    with pytest.raises(FileError, match="not ascending places of 3"):
        tools.read_back(NofM(1, 3), (1, 3), arrays)
