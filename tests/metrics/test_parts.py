"""A stopwatch whose clock is set by hand."""

import pytest

from rarefy.metrics._parts import PARTS, Parts


@pytest.fixture
def clock(monkeypatch):
    """A list whose sum is the time."""
    passed = [0.0]
    monkeypatch.setattr("rarefy.metrics._parts.time.perf_counter", lambda: sum(passed))
    return passed


def seconds(parts):
    return {part: list(parts.seconds[part]) for part in PARTS if any(parts.seconds[part])}


def test_a_part_within_another_is_its_own(clock):
    parts = Parts()
    clock.append(1.0)
    with parts.within("optimizer"):
        clock.append(2.0)
        with parts.within("update"):
            clock.append(4.0)
        clock.append(8.0)
    clock.append(16.0)
    parts.end_step()
    assert seconds(parts) == {"optimizer": [10.0], "update": [4.0], "other": [17.0]}


def test_what_an_error_left_open_is_closed_with_the_step(clock):
    parts = Parts()
    parts.enter("forward")
    clock.append(1.0)
    parts.leave("backward")  # never begun
    parts.end_step()
    clock.append(2.0)
    parts.end_step()
    assert seconds(parts) == {"forward": [1.0, 0.0], "other": [0.0, 2.0]}


def test_restarting_forgets_what_was_between_the_steps(clock):
    parts = Parts()
    parts.enter("forward")
    clock.append(5.0)
    parts.restart()
    clock.append(1.0)
    parts.end_step()
    assert seconds(parts) == {"other": [1.0]}
