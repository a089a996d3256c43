"""A process of its own for one runtime, so that no other's threads or caches disturb it."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from rarefy.lab.speed._case import Case
from rarefy.lab.speed._peak import peak
from rarefy.lab.speed._prepared import Prepared, hushed, off_by
from rarefy.lab.speed._runtimes import runtime_of
from rarefy.metrics import flops, run

PEAK = "peak"
"""Name of the worker that measures the FMA peak."""

_WARM_UP = 3
_MOST = 2000
"""Calls of one burst."""
_REST = 0.05
"""Seconds after a burst of several threads in which their pool falls asleep."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is known of a case before it is timed."""

    error: float
    """Largest difference from torch in float32, over the largest value."""
    flops: int
    """Of the nonzero weights, for the whole example; a multiply-add is 2."""
    dense_flops: int
    bytes: int | None
    dense_bytes: int
    seconds: float
    """That the runtime took to make it ready."""
    note: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a runtime does not run a case."""

    reason: str


class Worker:
    """Answers orders: prepare cases, run bursts of one, forget them all."""

    def __init__(self, runtime: str, precision: str, threads: int) -> None:
        self.runtime = runtime
        self.precision = precision
        self.threads = threads
        self._calls: list[Callable[[], Any] | None] = []
        self._held: list[object] = []

    def prepare(self, case: Case | None) -> Ready | Refused:
        """Build a case, make it ready and compare it with torch; None is the peak."""
        try:
            call, ready = self._peak() if case is None else self._prepared(case)
        except Exception as error:  # whatever a runtime raises is its answer
            self._calls.append(None)
            return Refused(f"{type(error).__name__}: {_first_line(error)}")
        self._calls.append(call)
        for _ in range(_WARM_UP):
            call()
        return ready

    def _peak(self) -> tuple[Callable[[], Any], Ready]:
        call = peak(self.threads)
        done = call()
        return call, Ready(0.0, done, done, None, 0, 0.0, "")

    def _prepared(self, case: Case) -> tuple[Callable[[], Any], Ready]:
        model, example = case.build()
        work = flops(model, example)
        with torch.no_grad():
            reference = run(model, example)
            begin = time.perf_counter()
            made: Prepared = runtime_of(self.runtime).prepare(
                model, example, self.threads, self.precision
            )
            seconds = time.perf_counter() - begin
            with hushed():
                error = off_by(made.call(), reference)
        self._held.append((made, model, example))
        held = sum(p.numel() * p.element_size() for p in model.parameters())
        return made.call, Ready(
            error, work.effective, work.dense, made.bytes, held, seconds, made.note
        )

    def burst(self, place: int, seconds: float) -> list[float]:
        """Seconds of each call of a case, one after another, after one that is not counted."""
        call = self._calls[place]
        if call is None:
            return []
        times: list[float] = []
        with torch.inference_mode():
            call()
            begin = end = time.perf_counter()
            while not times or (end - begin < seconds and len(times) < _MOST):
                start = time.perf_counter()
                call()
                end = time.perf_counter()
                times.append(end - start)
        if self.threads > 1:
            time.sleep(_REST)
        return times

    def forget(self) -> None:
        """Drop every case."""
        self._calls.clear()
        self._held.clear()


def main(connection: Connection, runtime: str, precision: str, threads: int) -> None:
    """Main function of the process."""
    os.dup2(2, 1)  # what a runtime prints by itself is no result of ours
    # What accelerate chooses is to follow from times taken now, not on another, busier day.
    os.environ.setdefault("RAREFY_TIMINGS", "off")
    serve(connection, runtime, precision, threads)


def serve(connection: Connection, runtime: str, precision: str, threads: int) -> None:
    """One answer for each order, until the order ``end``."""
    torch.set_num_threads(threads)
    # A benchmark tells nobody outside what it runs: without this package two of the runtimes are
    # silent, with it they report their use.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    worker = Worker(runtime, precision, threads)
    while True:
        order, *content = connection.recv()
        if order == "end":
            return
        connection.send(getattr(worker, order)(*content))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason told"])[0][:300]
