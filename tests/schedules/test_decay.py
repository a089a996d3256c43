"""The cosine that shares fall along."""

import pytest

from rarefy.schedules import decayed


def test_the_published_values_for_a_share_of_three_tenths():
    found = [decayed(0.3, step, 75_000) for step in (0, 18_750, 37_500, 56_250, 75_000)]
    assert found == pytest.approx([0.3, 0.25607, 0.15, 0.04393, 0], abs=5e-6)


def test_it_falls_to_what_is_asked_and_stays():
    assert decayed(0.5, 100, 100, final=0.005) == pytest.approx(0.005)
    assert decayed(0.5, 500, 100, final=0.005) == pytest.approx(0.005)
    assert decayed(0.5, 50, 100, final=0.1) == pytest.approx(0.3)


def test_before_the_start_it_is_whole():
    assert decayed(0.3, -5, 100) == 0.3


def test_without_time_it_is_over():
    assert decayed(0.3, 0, 0, final=0.1) == pytest.approx(0.1)
