"""Steps at which masks are chosen anew."""

import pytest

from rarefy.errors import ScheduleError
from rarefy.schedules import Every, interval


def test_it_comes_due_after_each_interval_up_to_its_end():
    trigger = Every(steps=10, until=35, start=5)
    assert [step for step in range(60) if trigger(step)] == [15, 25, 35]
    assert trigger.times == 3


def test_step_zero_is_never_due():
    assert not Every(steps=1, until=5)(0)


def test_it_reads_as_it_is_written():
    assert str(Every(steps=10, until=35)) == "every 10 until 35"
    assert str(Every(steps=10, until=35, start=5)) == "every 10 from 5 until 35"


@pytest.mark.parametrize(
    "odd",
    [{"steps": 0, "until": 9}, {"steps": 1, "until": 3, "start": 4}, {"steps": 1, "until": -1}],
)
def test_odd_ones_are_refused(odd):
    with pytest.raises(ScheduleError, match="steps >= 1 and 0 <= start <= until; found"):
        Every(**odd)


@pytest.mark.parametrize(
    ("steps", "wanted"), [(1, 5), (250, 5), (300, 6), (4_999, 99), (5_000, 100), (10**6, 100)]
)
def test_an_interval_follows_from_the_length_of_the_run(steps, wanted):
    assert interval(steps) == wanted
