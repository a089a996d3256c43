"""Small calls timed against each other, in turns, within a budget."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

_FEWEST = 3
_MOST = 15


class Stopwatch:
    """Times calls in turns; the medians of a few rounds.

    Args:
        seconds: About how long the timed rounds of one comparison take. Three rounds are made in
            any case, so that one interruption does not decide.
        clock: Seconds since any fixed moment.
    """

    def __init__(
        self, seconds: float = 0.05, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.seconds = seconds
        self._clock = clock

    def compare(self, calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """Seconds of each call, the median of the rounds.

        Every call is made once untimed. In each round every call is made once, every other round
        in the opposite order. Autograd is off.
        """
        times: dict[str, list[float]] = {name: [] for name in calls}
        with torch.no_grad():
            for call in calls.values():
                call()
            order, begin = list(calls), self._clock()
            for _ in range(_MOST):
                for name in order:
                    start = self._clock()
                    calls[name]()
                    times[name].append(self._clock() - start)
                order.reverse()
                enough = len(times[order[0]]) >= _FEWEST
                if enough and self._clock() - begin >= self.seconds:
                    break
        return {name: statistics.median(spent) for name, spent in times.items()}
