"""Times whole training steps in turns: each library and number of threads in a process of its own.

In a round every side has a burst of steps; every other round goes the opposite way. A ratio is the
median over rounds of the ratio of the bursts' medians, so both sides met the same load.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from rarefy.metrics import TrainingMeter
from rarefy.training import Sparsifier

WARM_UP = 3
PART_STEPS = 20
_REST = 0.05
"""Seconds after a burst of several threads in which their pool falls asleep."""


@dataclass
class Work:
    """What a process made ready: one whole step, and who takes it."""

    step: Callable[[], object]
    model: nn.Module
    optimizer: Optimizer
    sparsifier: Sparsifier | None = None
    off: float = 0.0
    """Largest difference of outputs and gradients from dense torch, over the largest value."""


@dataclass(frozen=True)
class Side:
    """One way to do the work: ``build(**words)`` gives a :class:`Work` in the process."""

    library: str
    threads: int
    build: Callable[..., Work]
    words: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass
class Times:
    """Seconds of every step by round, and of one step by part; or why there are none."""

    rounds: list[list[float]] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    off: float = 0.0
    refused: str = ""

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(seconds for burst in self.rounds for seconds in burst)

    def times_as_fast(self, other: "Times") -> float | None:
        """As ``other``, in pairs of rounds; None where one has no times."""
        if self.refused or other.refused:
            return None
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(statistics.median(o) / statistics.median(s) for s, o in pairs)

    def plain(self) -> dict[str, Any]:
        """As plain data; seconds."""
        if self.refused:
            return {"refused": self.refused}
        calls = sorted(seconds for burst in self.rounds for seconds in burst)
        lower, median, upper = statistics.quantiles(calls, n=4, method="inclusive")
        return {
            "median": median,
            "lower": lower,
            "upper": upper,
            "steps": len(calls),
            "parts": self.parts,
            "off": self.off,
        }


class Stand:
    """Processes that wait for their turn; a context manager, which ends them."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], tuple[Any, Any]] = {}

    def __enter__(self) -> "Stand":
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in self._open.values():
            pipe.send(("end",))
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()

    def measure(self, sides: Sequence[Side], *, seconds: float, rounds: int) -> list[Times]:
        """Each side's times; ``seconds`` are for all of its bursts together."""
        found = []
        for at, side in enumerate(sides):
            refused, off = self._ask(side, "prepare", at, side.build, side.words)
            found.append(Times(refused=refused, off=off))
        order = [at for at, times in enumerate(found) if not times.refused]
        for turn in range(rounds):
            for at in order if turn % 2 == 0 else reversed(order):
                found[at].rounds.append(self._ask(sides[at], "burst", at, seconds / rounds))
        for at in order:
            found[at].parts = self._ask(sides[at], "parts", at)
        for side in sides:
            self._ask(side, "forget")
        return found

    def _ask(self, side: Side, *order: object) -> Any:  # noqa: ANN401 - the answer
        key = side.library, side.threads
        if key not in self._open:
            self._open[key] = _started(side.threads)
        process, pipe = self._open[key]
        try:
            pipe.send(order)
            return pipe.recv()
        except (EOFError, OSError) as error:
            raise SystemExit(f"{side.library} ended with exit code {process.exitcode}") from error


def _started(threads: int) -> tuple[Any, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # What uses OpenMP by itself, as the rivals do, has no other way to be told.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _serve(pipe: Any, threads: int) -> None:  # noqa: ANN401 - a connection
    torch.set_num_threads(threads)
    works: dict[int, Work] = {}
    while True:
        order, *given = pipe.recv()
        if order == "end":
            return
        if order == "prepare":
            pipe.send(_prepared(works, *given))
        elif order == "burst":
            pipe.send(_burst(works[given[0]], given[1]))
        elif order == "parts":
            pipe.send(_parts(works[given[0]]))
        else:
            works.clear()
            pipe.send(None)


def _prepared(
    works: dict[int, Work], at: int, build: Callable[..., Work], words: dict[str, Any]
) -> tuple[str, float]:
    try:
        work = build(**words)
    except ImportError as error:
        return f"not installed ({error})", 0.0
    except Exception as error:  # whatever a library raises is its answer
        return f"{type(error).__name__}: {str(error).splitlines()[0]}", 0.0
    for _ in range(WARM_UP):
        work.step()
    works[at] = work
    return "", work.off


def _burst(work: Work, seconds: float) -> list[float]:
    work.step()
    times: list[float] = []
    begin = end = time.perf_counter()
    while not times or end - begin < seconds:
        start = time.perf_counter()
        work.step()
        end = time.perf_counter()
        times.append(end - start)
    if torch.get_num_threads() > 1:
        time.sleep(_REST)
    return times


def _parts(work: Work) -> dict[str, float]:
    with TrainingMeter(work.sparsifier or work.model, work.optimizer) as meter:
        for _ in range(PART_STEPS):
            work.step()
    found = meter.found
    return {part: spread[1] for part, spread in found.parts.items()} if found else {}
