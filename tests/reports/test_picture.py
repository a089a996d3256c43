"""Mask pictures: exact where they say so, exact means where not."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from rarefy.reports._picture import area_mean, picture


def drawn(rows, columns, density, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, rows, columns, 1, generator=generator) < density


def slow_mean(mask, rows, columns):
    """Each pixel as a sum over the weights under it, in fractions."""
    high, wide = Fraction(mask.shape[0], rows), Fraction(mask.shape[1], columns)

    def shared(size, pixel, place):
        return max(Fraction(0), min((pixel + 1) * size, place + 1) - max(pixel * size, place))

    return [
        [
            sum(
                shared(high, i, r) * shared(wide, j, c)
                for r, c in zip(*np.nonzero(mask), strict=True)
            )
            / (high * wide)
            for j in range(columns)
        ]
        for i in range(rows)
    ]


@pytest.mark.parametrize("size", [(3, 4), (7, 5), (12, 10), (1, 1), (5, 10)])
def test_a_pixel_is_the_exact_mean_of_its_area(size):
    mask = drawn(12, 10, 0.3)[0, :, :, 0].numpy()
    wanted = np.array([[float(p) for p in row] for row in slow_mean(mask, *size)])
    assert area_mean(mask, *size) == pytest.approx(wanted, abs=1e-12)


def test_a_split_weight_counts_for_both_sides():
    mask = np.array([[False, True, False]])
    assert area_mean(mask, 1, 2).tolist() == [[pytest.approx(1 / 3), pytest.approx(1 / 3)]]


def test_a_large_mask_keeps_its_mean_and_every_bit(read_png):
    mask = drawn(2000, 3001, 0.1)
    found = picture(mask)
    assert found.average.shape == (213, 320)  # 320 pixels across; as high as the mask is wide
    assert found.average.mean() == pytest.approx(mask.double().mean().item(), abs=1e-12)
    assert not found.exact
    width, height, depth, _, opacities, rows = read_png(found.full())
    assert (width, height, depth, opacities) == (3001, 2000, 1, b"\x00\xff")
    bits = np.unpackbits(rows, axis=1)[:, :3001].astype(bool)
    assert np.array_equal(bits, mask[0, :, :, 0].numpy())


def test_the_averaged_picture_holds_the_mean_in_255ths(read_png):
    found = picture(drawn(640, 640, 0.2))
    width, height, depth, _, opacities, rows = read_png(found.averaged())
    assert (width, height, depth) == (320, 320, 8)
    assert np.array_equal(rows, np.rint(found.average * 255))
    assert opacities[rows.max()] == 255  # the densest pixel has full ink
    assert found.densest == found.average.max()
    assert list(opacities) == sorted(opacities)


def test_a_small_mask_is_shown_as_it_is():
    found = picture(drawn(100, 300, 0.5))
    assert found.exact
    assert np.array_equal(found.average == 1, drawn(100, 300, 0.5)[0, :, :, 0].numpy())


def test_groups_stack_and_kernels_lie_side_by_side():
    mask = torch.zeros(2, 3, 4, 5, dtype=torch.bool)
    mask[1, 2, 3, 4] = mask[0, 1, 2, 0] = True
    found = picture(mask)
    assert (found.rows, found.columns) == (6, 20)
    assert [tuple(place) for place in np.argwhere(found.average == 1)] == [(1, 10), (5, 19)]


def test_an_empty_or_emptied_mask_is_no_trouble(read_png):
    assert picture(torch.zeros(1, 0, 4, 1, dtype=torch.bool)).densest == 0
    found = picture(torch.zeros(1, 700, 700, 1, dtype=torch.bool))
    assert not read_png(found.averaged())[-1].any()
