"""Times cases by runtimes that take turns, each in a process of its own."""

import contextlib
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from rarefy.errors import BudgetError, InvariantError
from rarefy.lab.speed._case import Case
from rarefy.lab.speed._worker import PEAK, Ready, Refused, main

Watch = Callable[[str, int, int], None]
"""``watch(doing, step, steps)``."""

OFF = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.25}
"""How far an output may be from torch's, over its largest value, before its time means nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case, run in one way."""

    runtime: str
    case: Case | None
    """None only where the runtime is the FMA peak."""
    precision: str = "float32"
    threads: int = 1

    @property
    def worker(self) -> tuple[str, str, int]:
        """Runtime, precision and threads: what shares a process."""
        return self.runtime, self.precision, self.threads


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each call, in the bursts they were made in, and what was computed."""

    rounds: tuple[tuple[float, ...], ...]
    ready: Ready

    @property
    def median(self) -> float:
        """Seconds: half of all calls took longer."""
        return statistics.median(self._calls())

    @property
    def quartiles(self) -> tuple[float, float]:
        """Seconds; the middle half of the calls lies between them."""
        calls = self._calls()
        if len(calls) == 1:
            return calls[0], calls[0]
        lower, _, upper = statistics.quantiles(calls, n=4, method="inclusive")
        return lower, upper

    @property
    def least(self) -> float:
        """Seconds of the fastest call. It flatters: for planning, never for a claim."""
        return min(self._calls())

    def _calls(self) -> list[float]:
        return [seconds for burst in self.rounds for seconds in burst]

    def medians(self) -> list[float]:
        """Seconds, the median of each round."""
        return [statistics.median(burst) for burst in self.rounds]

    def times_as_fast(self, other: "Timing") -> float:
        """How many times as fast as ``other``: median over rounds, in which both met one load."""
        return statistics.median(
            theirs / ours for ours, theirs in zip(self.medians(), other.medians(), strict=True)
        )

    def share_of(self, peak: "Timing", *, dense: bool = False) -> float:
        """FLOPs on the nonzeros (or on all weights) a second, over those of the measured peak."""
        work = self.ready.dense_flops if dense else self.ready.flops
        return work / peak.ready.flops * self.times_as_fast(peak)


class Stand:
    """Processes that wait to be told what to time; a context manager, which ends them.

    Each runtime, each precision of one and each number of threads has a process of its own. They
    are idle but for the one whose turn it is, so spinning threads, caches and clock are nobody
    else's. In a round each entry has one burst of calls; every other round goes the opposite way.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, int], tuple[Any, Connection]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process, connection in self._open.values():
            if kind is None:
                with contextlib.suppress(OSError):  # it has died already
                    connection.send(("end",))
                process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
            connection.close()
        self._open.clear()

    def measure(
        self,
        entries: Sequence[Entry],
        *,
        seconds: float = 0.5,
        rounds: int = 5,
        watch: Watch | None = None,
    ) -> tuple[list[Timing | Refused], dict[int, Timing | Refused]]:
        """Time every entry, and the FMA peak among them.

        Args:
            entries: What to time.
            seconds: For all bursts of one entry together. A burst has at least one call.
            rounds: Bursts of each entry.
            watch: Told of each burst.

        Returns:
            For each entry its times, or why there are none; and the same for the peak on each
            number of threads that an entry has.

        Raises:
            BudgetError: Nothing to time, no time to do it in, or less than one thread.
            InvariantError: A process has died.
        """
        threads = sorted({entry.threads for entry in entries})
        if not entries or seconds <= 0 or rounds < 1 or threads[0] < 1:
            raise BudgetError(
                "measure() needs an entry, seconds > 0, a round and a thread or more; found "
                f"{len(entries)} entries, seconds={seconds!r}, rounds={rounds!r}, "
                f"threads={threads}."
            )
        chosen = [*entries, *(Entry(PEAK, None, threads=count) for count in threads)]
        ready, places = self._prepared(chosen)
        bursts: list[list[tuple[float, ...]]] = [[] for _ in chosen]
        order = [at for at, found in enumerate(ready) if isinstance(found, Ready)]
        for turn in range(rounds):
            for at in order if turn % 2 == 0 else reversed(order):
                entry = chosen[at]
                if watch:
                    watch(entry.case.name if entry.case else PEAK, turn, rounds)
                answer = self._ask(entry.worker, "burst", places[at], seconds / rounds)
                bursts[at].append(tuple(answer))
        for worker in {entry.worker for entry in chosen}:
            self._ask(worker, "forget")
        found = [
            made if isinstance(made, Refused) else Timing(tuple(burst), made)
            for made, burst in zip(ready, bursts, strict=True)
        ]
        return found[: len(entries)], dict(zip(threads, found[len(entries) :], strict=True))

    def _prepared(self, entries: Sequence[Entry]) -> tuple[list[Ready | Refused], list[int]]:
        ready: list[Ready | Refused] = []
        places: list[int] = []
        seen: dict[tuple[str, str, int], int] = {}
        for entry in entries:
            self._start(entry.worker)
        for entry in entries:
            places.append(seen.get(entry.worker, 0))
            seen[entry.worker] = places[-1] + 1
            made = self._ask(entry.worker, "prepare", entry.case)
            if isinstance(made, Ready) and not made.error <= OFF[entry.precision]:
                made = Refused(
                    f"its output is off by {made.error:.1e} of the largest value, more than "
                    f"{OFF[entry.precision]:.0e}: a time would mean nothing"
                )
            ready.append(made)
        return ready, places

    def _start(self, worker: tuple[str, str, int]) -> None:
        if worker in self._open:
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=main, args=(theirs, *worker), daemon=True)
        process.start()
        theirs.close()
        self._open[worker] = process, ours

    def _ask(self, worker: tuple[str, str, int], *order: object) -> Any:  # noqa: ANN401 - the answer
        process, connection = self._open[worker]
        try:
            connection.send(order)
            return connection.recv()
        except (EOFError, OSError) as error:
            process.join(5)
            raise InvariantError(
                f"the process that times {' '.join(map(str, worker))} ended with exit code "
                f"{process.exitcode} while it was to {order[0]}. Leave this runtime out, and "
                "report it if it is rarefy."
            ) from error
