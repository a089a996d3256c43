"""Wall-clock time of calls, with its spread; several calls are timed in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from rarefy.errors import BudgetError

_WARM_UP = 3
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds per call: the middle, the quartiles, and under what conditions."""

    times: tuple[float, ...]
    """Seconds of each timed call, in order; the n-th of two calls timed together are a pair."""
    threads: int
    """Threads that torch computes with."""
    batch: int | None
    """Samples per call, where the caller says so."""

    @property
    def median(self) -> float:
        """Seconds; half of the calls took longer."""
        return statistics.median(self.times)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Seconds; the middle half of the calls lies between them."""
        lower, _, upper = statistics.quantiles(self.times, n=4, method="inclusive")
        return lower, upper

    def times_as_fast(self, other: "Latency") -> tuple[float, float, float]:
        """How many times as fast as ``other``: lower quartile, median, upper quartile of pairs.

        Pairs are what makes this fair on a busy machine: both calls of a pair met the same load.
        """
        pairs = list(zip(self.times, other.times, strict=True))
        lower, median, upper = statistics.quantiles(
            [theirs / ours for ours, theirs in pairs], n=4, method="inclusive"
        )
        return lower, median, upper


def latency(
    calls: Mapping[str, Callable[[], object]],
    seconds: float = 1.0,
    *,
    batch: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Latency]:
    """Times each call, in turns, for about ``seconds`` in all.

    Each call is first made untimed, three times unless that takes longer than ``seconds``. Then
    come rounds in which each is made once, every other round in the opposite order, so that no
    call always goes first. At least 5 rounds are made, however long they take. An accelerator is
    waited for.

    Args:
        calls: Name to a function without arguments.
        seconds: Time for all timed rounds together.
        batch: Samples per call, noted in the result.
        clock: Seconds since any fixed moment.

    Raises:
        BudgetError: Nothing to time, or no time to do it in.
    """
    if not calls or seconds <= 0:
        raise BudgetError(
            f"latency needs at least one call and seconds > 0; got {len(calls)} and {seconds}"
        )
    wait = _wait()
    for call in calls.values():
        start = clock()
        for _ in range(_WARM_UP):
            call()
            wait()
            if clock() - start >= seconds:  # once is enough where calls are that slow
                break
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    begin = clock()
    while len(times[order[0]]) < _FEWEST or clock() - begin < seconds:
        for name in order:
            start = clock()
            calls[name]()
            wait()
            times[name].append(clock() - start)
        order.reverse()
    threads = torch.get_num_threads()
    return {name: Latency(tuple(spent), threads, batch) for name, spent in times.items()}


def _wait() -> Callable[[], None]:
    if torch.accelerator.is_available():
        return torch.accelerator.synchronize
    return lambda: None
