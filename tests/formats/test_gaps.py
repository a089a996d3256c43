"""Masks as gaps."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import (
    Bitmask,
    Delta,
    Dense,
    held_as,
    pack_bits,
    pack_gaps,
    smallest,
    unpack_gaps,
)


def test_by_hand():
    # Gaps of 3 and 1, then 4 places to the end of 8: nothing is kept there, so escapes of 15: one.
    mask = torch.tensor([0, 0, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    assert pack_gaps(mask, 4).tolist() == [3 + (1 << 4), 0, 0, 0]
    assert unpack_gaps(pack_gaps(mask, 4), (2, 4), 4).tolist() == [
        [False, False, True, True],
        [False] * 4,
    ]


@pytest.mark.parametrize("width", range(1, 9))
def test_round_trip(width):
    for shape in ((), (0,), (1,), (9,), (3, 0, 2), (40, 50), (2, 3, 4, 5)):
        for density in (0.0, 0.02, 0.5, 1.0):
            mask = torch.rand(shape) < density
            gaps = pack_gaps(mask, width)
            assert gaps.dtype == torch.uint8
            assert torch.equal(unpack_gaps(gaps, shape, width), mask)
            if width == 1:
                assert torch.equal(gaps, pack_bits(mask))


def test_strides_do_not_matter():
    mask = torch.rand(6, 4) < 0.5
    assert torch.equal(pack_gaps(mask.T, 3), pack_gaps(mask.T.contiguous(), 3))


@pytest.mark.parametrize(
    ("gaps", "shape", "words"),
    [
        (torch.zeros(4, dtype=torch.int8), (8,), "uint8 with one side"),
        (torch.zeros(4, 1, dtype=torch.uint8), (8,), "uint8 with one side"),
        (torch.zeros(3, dtype=torch.uint8), (8,), "no groups of 4 bits"),
        (torch.zeros(4, dtype=torch.uint8), (121,), "cover at most 120 places"),
        (torch.zeros(8, dtype=torch.uint8), (8,), "8 bytes, not 4"),
        (torch.full((4,), 0x11, dtype=torch.uint8), (7,), "beyond its end"),
    ],
)
def test_damage_is_refused(gaps, shape, words):
    with pytest.raises(FileError, match=words):
        unpack_gaps(gaps, shape, 4)


def test_only_bool_is_a_mask():
    for refused in (lambda: pack_gaps(torch.ones(3), 2), lambda: held_as(torch.ones(3), 4)):
        with pytest.raises(FileError, match=r"found torch\.float32"):
            refused()


def test_how_a_file_holds_a_mask():
    assert held_as(torch.ones(8, 8, dtype=torch.bool), 4) == (Dense(), 256)
    assert held_as(torch.arange(64) < 61, 4) == (Bitmask(), 8 + 244)
    assert held_as(torch.arange(6400) % 64 == 0, 2) == (Delta(7), 200 + 91)
    assert held_as(torch.zeros(64, dtype=torch.bool), 4) == (Bitmask(), 8)


@pytest.mark.parametrize("density", [1.0, 0.9, 0.5, 0.1, 0.01])
def test_what_is_told_beforehand_is_about_what_is_taken(density):
    mask = torch.rand(300, 400, generator=torch.Generator().manual_seed(0)) < density
    form, size = held_as(mask, 4)
    told = smallest((300, 400), int(mask.sum()), 4)
    assert form.family == told[0]
    assert size == pytest.approx(told[1], rel=0.01)
