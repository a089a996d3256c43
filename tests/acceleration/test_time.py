"""The stopwatch: rounds in turns, medians, a budget; on a clock that is told what to say."""

import pytest
import torch

from rarefy.acceleration import Stopwatch


class Clock:
    """Stands still but for what the calls add."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):  # noqa: D102
        return self.now


@pytest.fixture
def clock():
    return Clock()


def takes(clock, log, name, *seconds):
    """A call that takes these seconds one after another, and then the last of them."""
    left = list(seconds)

    def call():
        log.append(name)
        clock.now += left.pop(0) if len(left) > 1 else left[0]

    return call


def test_the_median_of_the_rounds_after_one_untimed_call(clock):
    log = []
    calls = {"a": takes(clock, log, "a", 100, 1, 9, 2), "b": takes(clock, log, "b", 100, 4)}
    assert Stopwatch(0.0, clock).compare(calls) == {"a": 2, "b": 4}
    assert len(log) == 2 * (1 + 3)


def test_every_other_round_runs_the_other_way(clock):
    log = []
    calls = {name: takes(clock, log, name, 1) for name in "abc"}
    Stopwatch(0.0, clock).compare(calls)
    assert "".join(log) == "abc" + "abc" + "cba" + "abc"


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (5.0, 5), (1e9, 15)])
def test_rounds_are_made_within_the_budget_but_never_fewer_than_three(clock, seconds, rounds):
    log = []
    Stopwatch(seconds, clock).compare({"a": takes(clock, log, "a", 1)})
    assert len(log) == 1 + rounds


def test_autograd_is_off():
    seen = []
    Stopwatch(0.0).compare({"a": lambda: seen.append(torch.is_grad_enabled())})
    assert set(seen) == {False}
