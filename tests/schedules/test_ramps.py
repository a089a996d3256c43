"""Ramps by hand."""

import pytest

from rarefy.schedules import Constant, Cubic, Linear, Once


def test_cubic_has_the_published_fractions_at_the_quarters():
    ramp = Cubic(final=0.8, start=100, end=500)
    found = [ramp(step) / 0.8 for step in (100, 200, 300, 400, 500)]
    assert found == pytest.approx([0, 0.578125, 0.875, 0.984375, 1], abs=1e-12)


def test_cubic_from_a_sparse_start():
    # an eighth of the way from 0.9 back to 0.5
    assert Cubic(final=0.9, initial=0.5, end=10)(5) == pytest.approx(0.85)


def test_linear_is_half_way_half_way():
    assert Linear(final=0.8, start=10, end=30)(20) == pytest.approx(0.4)


def test_once_waits_until_its_end():
    ramp = Once(final=0.8, end=7, initial=0.1)
    assert [ramp(6), ramp(7)] == [0.1, 0.8]


def test_constant_does_not_wait():
    assert Constant(final=0.8, start=5, end=9)(0) == 0.8
