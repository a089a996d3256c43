"""What every ramp promises. A new one is tested by being exported; nothing is listed here."""

import inspect

import pytest

from rarefy import schedules
from rarefy.errors import BudgetError, ScheduleError
from rarefy.schedules import Ramp

RAMPS = [
    part
    for name in schedules.__all__
    if inspect.isclass(part := getattr(schedules, name))
    and issubclass(part, Ramp)
    and part is not Ramp
]
every_ramp = pytest.mark.parametrize("ramp", RAMPS)


def test_the_room_is_sorted():
    assert schedules.__all__ == sorted(schedules.__all__)


@every_ramp
def test_it_lands_exactly_and_stays(ramp):
    made = ramp(final=0.9, start=10, end=47)
    assert [made(step) for step in (47, 48, 10**9)] == [0.9] * 3


@every_ramp
def test_it_never_falls_and_never_overshoots(ramp):
    made = ramp(final=0.7, start=3, end=50, initial=0.2)
    risen = [made(step) for step in range(60)]
    assert risen == sorted(risen)
    assert 0.2 <= risen[0] <= risen[-1] == 0.7


@every_ramp
def test_without_a_duration_it_is_at_its_end_at_once(ramp):
    assert ramp(final=0.5)(0) == 0.5


@every_ramp
def test_it_is_a_value(ramp):
    assert ramp(final=0.5, end=9) == ramp(final=0.5, end=9)
    assert ramp(final=0.5, end=9) != ramp(final=0.5, end=10)


@every_ramp
@pytest.mark.parametrize("odd", [{"final": 1.0}, {"final": 90}, {"final": 0.5, "initial": -0.1}])
def test_it_takes_sparsities(ramp, odd):
    with pytest.raises(BudgetError, match=r"is a sparsity, in \[0, 1\)"):
        ramp(**odd)


@every_ramp
@pytest.mark.parametrize("odd", [{"start": 5, "end": 4}, {"start": -1, "end": 4}])
def test_it_takes_steps_in_order(ramp, odd):
    with pytest.raises(ScheduleError, match="0 <= start <= end"):
        ramp(final=0.5, **odd)


@every_ramp
def test_it_says_what_it_does_in_its_first_line(ramp):
    assert "\n" not in ramp.__doc__.split("\n\n")[0]
