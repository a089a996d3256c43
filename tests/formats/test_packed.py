"""The layout of the kernels."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import Packed, bytes_of, decode, encode
from rarefy.kernels import pack


def section_of(weight, tile=None):
    return encode(weight, Packed(tile)).parts["section"].numpy()


def test_by_hand(matrix):
    section = section_of(matrix)
    assert section[:64].view("<i8").tolist() == [4, 4, 256, 1, 1, 5, 0, 5]
    assert section[64:72].view("<i4").tolist() == [0, 4]
    assert not section[72:128].any()
    # By column, then row: 2 at (1, 0), 1 at (0, 1), 4 at (3, 2), 3 at (1, 3), 5 at (3, 3).
    assert section[128:148].view("<f4").tolist() == [2, 1, 4, 3, 5]
    assert not section[148:192].any()
    assert section[192:202].view("<u2").tolist() == [1, 32, 64 + 3, 96 + 1, 96 + 3]
    assert not section[202:].any()
    assert len(section) == 256 == bytes_of("packed", (4, 4), 5, 4)


def test_blocks_are_even_and_tiles_cut():
    weight = torch.zeros(61, 5)
    weight[20, 4] = weight[60, 2] = weight[19, 0] = 7
    section = section_of(weight, tile=2)
    assert section[:48].view("<i8").tolist() == [61, 5, 2, 3, 3, 3]
    # Blocks of 20, 20 and 21 rows x tiles of columns 0-1, 2-3, 4.
    assert section[48:128].view("<i8").tolist() == [0, 1, 1, 1, 1, 1, 2, 2, 3, 3]
    assert section[128:144].view("<i4").tolist() == [0, 20, 40, 61]
    positions = section[192 + 64 :][:6].view("<u2").tolist()
    assert positions == [19, 0, 20]
    assert torch.equal(decode(encode(weight, Packed(2)))[0], weight)


def test_six_bytes_a_value():
    assert bytes_of("packed", (3000, 4096), 1_000_000, 4) == pytest.approx(6_000_000, rel=0.01)


@pytest.mark.parametrize("density", [0.01, 0.3])
def test_it_is_what_the_kernels_make(density):
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(61, 1100, generator=generator) < density
    weight = torch.randn(61, 1100, generator=generator) * mask
    weight[mask.nonzero()[3][0], mask.nonzero()[3][1]] = 0  # a kept zero is an entry
    ours = encode(weight, "packed", mask).parts["section"]
    assert torch.equal(pack(weight, mask).data, ours)


def test_only_float32():
    with pytest.raises(FileError, match=r"holds float32; found torch\.float16"):
        encode(torch.ones(2, 2).half(), "packed")
    with pytest.raises(FileError, match="values of 2 bytes"):
        bytes_of("packed", (2, 2), 1, 2)
    with pytest.raises(FileError, match="1 to 2048 columns"):
        Packed(0)


@pytest.mark.parametrize(
    ("at", "dtype", "value", "words"),
    [
        (0, "<i8", 5, "header says"),
        (16, "<i8", 512, "header says"),
        (40, "<i8", 4, "do not cover its entries"),
        (40, "<i8", 2**40, "claims"),
        (40, "<i8", -1, "claims"),
        (48, "<i8", 1, "do not cover"),
        (56, "<i8", 6, "do not cover"),
        (68, "<i4", 3, "not even"),
        (192, "<u2", 4, "outside its tile"),  # row 4 of 4
        (200, "<u2", 4 * 32, "outside its tile"),  # column 4 of 4
        (192, "<u2", 32, "do not ascend"),
    ],
)
def test_damage_is_refused(matrix, at, dtype, value, words, tools):
    section = section_of(matrix).copy()
    section[at : at + np.dtype(dtype).itemsize].view(dtype)[0] = value
    with pytest.raises(FileError, match=words):
        tools.read_back(Packed(), (4, 4), {"section": section})


def test_a_section_that_is_cut_short_is_refused(matrix, tools):
    for length, words in ((40, "no room for a header"), (128, "128 bytes, not 256")):
        with pytest.raises(FileError, match=words):
            tools.read_back(Packed(), (4, 4), {"section": section_of(matrix)[:length]})
