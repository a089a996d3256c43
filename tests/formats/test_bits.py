"""Packed masks."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import pack_bits, unpack_bits


def test_first_element_is_the_lowest_bit():
    mask = torch.tensor([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], dtype=torch.bool)
    assert pack_bits(mask).tolist() == [0b00000001, 0b00000010]


@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (7,), (8,), (9,), (3, 0, 2), (5, 3), (2, 3, 4, 5)]
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_round_trip(shape, share):
    mask = torch.rand(shape) < share
    bits = pack_bits(mask)
    assert bits.dtype == torch.uint8
    assert bits.shape == ((mask.numel() + 7) // 8,)
    back = unpack_bits(bits, shape)
    assert back.dtype == torch.bool
    assert torch.equal(back, mask)


def test_strides_do_not_matter():
    mask = torch.rand(6, 4) < 0.5
    assert torch.equal(pack_bits(mask.T), pack_bits(mask.T.contiguous()))


def test_row_major_order():
    mask = torch.zeros(2, 8, dtype=torch.bool)
    mask[1, 0] = True
    assert pack_bits(mask).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("bits", "shape"),
    [
        (torch.zeros(2, dtype=torch.uint8), (8,)),
        (torch.zeros(1, dtype=torch.uint8), (9,)),
        (torch.zeros(1, dtype=torch.uint8), (0,)),
        (torch.zeros(1, 1, dtype=torch.uint8), (8,)),
        (torch.zeros(1, dtype=torch.int8), (8,)),
    ],
)
def test_wrong_length_or_dtype_is_refused(bits, shape):
    with pytest.raises(FileError, match="packed mask of shape"):
        unpack_bits(bits, shape)


def test_stray_bits_are_refused():
    stray = torch.tensor([0b00001000], dtype=torch.uint8)
    assert unpack_bits(stray, (4,)).tolist() == [False, False, False, True]
    with pytest.raises(FileError, match="after its last element"):
        unpack_bits(stray, (3,))


def test_only_bool_is_a_mask():
    with pytest.raises(FileError, match=r"found torch\.float32"):
        pack_bits(torch.ones(3))
