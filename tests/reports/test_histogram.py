"""Histograms of kept values."""

import torch

from rarefy.reports._histogram import Histogram, histogram


def test_only_kept_values_are_counted():
    weight = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
    mask = torch.tensor([True, True, True, True, True, False])
    assert histogram(weight, mask, bins=2) == Histogram(0.0, 4.0, (2, 3), 0)


def test_what_is_not_finite_is_told_apart():
    weight = torch.tensor([float("nan"), float("inf"), 1.0, 1.0], dtype=torch.bfloat16)
    assert histogram(weight, torch.ones(4, dtype=torch.bool)) == Histogram(1.0, 1.0, (2,), 2)


def test_nothing_kept_gives_no_bins():
    assert histogram(torch.ones(3), torch.zeros(3, dtype=torch.bool)) == Histogram(0, 0, (), 0)
