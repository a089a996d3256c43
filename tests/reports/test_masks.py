"""Mask pictures on the page."""

import base64
import re
from dataclasses import replace

import numpy as np
import torch

from rarefy.reports._masks import pictures, shown_exactly
from rarefy.reports._numbers import TIMES
from rarefy.reports._picture import picture


def with_masks(full, **sizes):
    masks = {
        name: torch.rand(1, *size, 1, generator=torch.Generator().manual_seed(0)) < 0.1
        for name, size in sizes.items()
    }
    return masks, replace(full, pictures={name: picture(mask) for name, mask in masks.items()})


def test_smaller_masks_are_shown_exactly_first(full):
    _, report = with_masks(full, large=(100, 100), small=(10, 10), middle=(20, 20))
    assert shown_exactly({"a": report}, 499) == {("a", "small")}
    assert shown_exactly({"a": report}, 500) == {("a", "small"), ("a", "middle")}
    assert shown_exactly({"a": report, "b": report}, 300) == {("a", "small"), ("b", "small")}


def test_the_page_holds_every_bit(full, read_png):
    masks, report = with_masks(full, w=(700, 801))
    text = pictures(report, {"w"})
    full_size = re.search(r'data-full="data:image/png;base64,([^"]+)"', text).group(1)
    width, height, _, _, _, rows = read_png(base64.b64decode(full_size))
    assert (width, height) == (801, 700)
    bits = np.unpackbits(rows, axis=1)[:, :801].astype(bool)
    assert np.array_equal(bits, masks["w"][0, :, :, 0].numpy())
    assert 'data-rows="700" data-columns="801"' in text


def test_a_mask_too_large_is_averaged_and_the_page_says_so(full):
    _, report = with_masks(full, w=(700, 801))
    text = pictures(report, ())
    assert "<button" not in text
    assert "Too large to hold every weight on this page" in text
    assert "One pixel is the mean of" in text


def test_a_small_mask_is_its_own_closer_look(full):
    _, report = with_masks(full, w=(20, 30))
    text = pictures(report, {"w"})
    assert "<button" in text
    assert "data-full" not in text
    assert "One pixel is one weight." in text


def test_a_kernel_is_told_from_the_inputs(full):
    mask = torch.ones(1, 4, 5, 9, dtype=torch.bool)
    text = pictures(replace(full, pictures={"conv": picture(mask)}), {"conv"})
    assert f"4 outputs {TIMES} 5 inputs {TIMES} 9 kernel positions, 100.00 % kept" in text
    assert 'data-columns="45" data-kernel="9"' in text


def test_alt_text_and_names_are_escaped(full):
    _, report = with_masks(full, w=(4, 4))
    report = replace(report, pictures={'"><b>': report.pictures["w"]})
    text = pictures(report, {'"><b>'})
    assert "<b>" not in text
    assert 'alt="Mask of &quot;&gt;&lt;b&gt;: 4 outputs' in text
