"""Where the time of a whole call goes: into chains and sparse layers, and into the rest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rarefy.acceleration._install import dense
from rarefy.acceleration._packs import Packs
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._time import Stopwatch
from rarefy.kernels import Plan
from rarefy.metrics import Example, run

_ROUNDS = 7


@dataclass(slots=True)
class Share:
    """Seconds of whole calls, and how one of them is made up."""

    dense: float
    """A call of the model with every layer in torch."""
    fast: float
    """A call as it is now."""
    sparse: float
    """Of a watched call: spent in chains and sparse layers."""
    rest: float
    """Of the same call: spent between them, in torch and in Python."""
    adds_up: float
    """Both together, as a share of calls that nobody watched."""
    by: dict[str, float]
    """Sparse seconds by module name, of all its chains together."""


def share(model: nn.Module, example: Example, stopwatch: Stopwatch) -> Share:
    """Time whole calls, dense and as they are now, and look into the latter.

    In turns a call is watched and one is not: what the parts of the watched one add up to should
    be what the other takes.
    """

    def whole() -> object:
        return run(model, example)

    def without() -> object:
        with dense(model):
            return run(model, example)

    seconds = stopwatch.compare({"dense": without, "fast": whole})
    parts: list[tuple[float, dict[str, float]]] = []
    unwatched = []
    with torch.no_grad():
        for _ in range(_ROUNDS):
            unwatched.append(_seconds(whole))
            with _watched(model) as spent:
                parts.append((_seconds(whole), spent))
    by = {name: statistics.median(p.get(name, 0.0) for _, p in parts) for name in parts[-1][1]}
    sparse = statistics.median(sum(p.values()) for _, p in parts)
    rest = statistics.median(total - sum(p.values()) for total, p in parts)
    adds_up = (sparse + rest) / statistics.median(unwatched)
    return Share(seconds["dense"], seconds["fast"], sparse, rest, adds_up, by)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class _Watched:
    """A plan that notes how long it takes."""

    def __init__(self, plan: Plan, name: str, spent: dict[str, float]) -> None:
        self._plan, self._name, self._spent = plan, name, spent

    def run(self, *inputs: Tensor) -> list[Tensor]:
        begin = time.perf_counter()
        outputs = self._plan.run(*inputs)
        took = time.perf_counter() - begin
        self._spent[self._name] = self._spent.get(self._name, 0.0) + took
        return outputs


@contextmanager
def _watched(model: nn.Module) -> Iterator[dict[str, float]]:
    spent: dict[str, float] = {}
    before: list[tuple[Packs, list[Any]]] = []
    for name, module in model.named_modules():
        lane = lane_of(module)
        if lane is not None:
            before.append((lane.packs, lane.packs.plans))
            watched: list[Any] = [_Watched(plan, name, spent) for plan in lane.packs.plans]
            lane.packs.plans = watched
    try:
        yield spent
    finally:
        for packs, plans in before:
            packs.plans = plans
