"""Timing, with a clock that the test turns."""

import pytest
import torch

from rarefy.errors import BudgetError
from rarefy.metrics import Latency, latency


class Bench:
    """Calls that take a set time on a clock of their own, and a log of who was called."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def call(self, name, seconds):
        """A call that takes ``seconds``."""

        def made():
            self.log.append(name)
            self.now += seconds

        return made


def test_calls_take_turns_after_a_warm_up():
    bench = Bench()
    calls = {"a": bench.call("a", 0.25), "b": bench.call("b", 0.5)}
    found = latency(calls, seconds=4.5, batch=8, clock=lambda: bench.now)
    assert bench.log[:6] == ["a", "a", "a", "b", "b", "b"]
    assert bench.log[6:] == ["a", "b", "b", "a"] * 3  # 6 rounds of 0.75 s
    assert found["a"].times == (0.25,) * 6
    assert (found["b"].median, found["b"].batch) == (0.5, 8)
    assert found["a"].threads == torch.get_num_threads()
    assert found["a"].times_as_fast(found["b"]) == (2.0, 2.0, 2.0)


def test_slow_calls_get_five_rounds_all_the_same():
    bench = Bench()
    found = latency({"slow": bench.call("slow", 9.0)}, seconds=1, clock=lambda: bench.now)
    assert len(found["slow"].times) == 5
    assert len(bench.log) == 6  # and one to warm up


def test_median_and_quartiles():
    timed = Latency((5.0, 1.0, 2.0, 3.0, 4.0), threads=1, batch=None)
    assert (timed.median, timed.quartiles) == (3.0, (2.0, 4.0))


def test_pairs_are_compared_before_the_median_is_taken():
    ours, theirs = Latency((1.0, 10.0, 1.0), 1, None), Latency((2.0, 20.0, 2.0), 1, None)
    assert ours.times_as_fast(theirs)[1] == 2.0


def test_nothing_to_time_is_refused():
    with pytest.raises(BudgetError, match="at least one call"):
        latency({})
    with pytest.raises(BudgetError, match="seconds > 0"):
        latency({"a": lambda: None}, seconds=0)
