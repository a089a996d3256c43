"""``rarefy.accelerate``, step by step: copy, run, capture, time, choose, check, tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rarefy.acceleration._calls import fresh, put_back, snapshot, watch
from rarefy.acceleration._choose import Wish
from rarefy.acceleration._copy import copied
from rarefy.acceleration._descend import descend
from rarefy.acceleration._findings import Findings
from rarefy.acceleration._floor import lay_floor
from rarefy.acceleration._install import close, dense
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._packs import Packs
from rarefy.acceleration._precision import accuracy, check_precision
from rarefy.acceleration._record import record_of
from rarefy.acceleration._rounding import Rounding
from rarefy.acceleration._rows import DENSE
from rarefy.acceleration._share import share
from rarefy.acceleration._slim import settle
from rarefy.acceleration._sources import density_of
from rarefy.acceleration._swap import RECORD, is_root, lane_of, swap
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import timings
from rarefy.errors import AttachError, BudgetError, InvariantError, UnknownName
from rarefy.metrics import Example, run, undisturbed

GOALS = ("latency", "memory")


def accelerated(
    model: nn.Module,
    example: Example,
    *,
    goal: str = "latency",
    precision: str = "float32",
    data: Iterable[Any] | None = None,
    margin: float = 0.1,
    stopwatch: Stopwatch | None = None,
) -> nn.Module:
    """A copy of ``model`` that runs its sparse layers sparse where that is faster here.

    See :func:`rarefy.accelerate`.

    Args:
        model: Plain, on the CPU.
        example: A tensor, a tuple of positional arguments, or a mapping of keyword arguments.
        goal: ``latency`` or ``memory``.
        precision: ``float32``, ``int8`` or ``bfloat16``.
        data: Batches to measure the cost of low precision on.
        margin: Share by which sparse must be faster.
        stopwatch: Takes the times; one with the default budget if None.
    """
    _check(model, goal, margin)
    check_precision(precision, data)
    with torch.inference_mode(False), torch.no_grad():
        return _accelerated(model, fresh(example), stopwatch, Wish(goal, precision), margin, data)


def _accelerated(
    model: nn.Module,
    example: Example,
    stopwatch: Stopwatch | None,
    wish: Wish,
    margin: float,
    data: Iterable[Any] | None,
) -> nn.Module:
    fast = copied(model)
    swap(fast, None, root=True)
    vars(fast)["_rarefy_was_trainable"] = any(p.requires_grad for p in model.parameters())
    rounding = None
    if wish.precision != "float32" and data is not None:
        rounding = Rounding(wish.precision, fast, data)
        wish = Wish(wish.goal, wish.precision, rounding.kinds)
    judge = Judge(margin, stopwatch or Stopwatch(), timings())
    findings = Findings()
    with _left_as_it_was(fast):
        _search(fast, example, judge, wish, findings, rounding)
        times = share(fast, example, judge.stopwatch)
        if wish.goal == "latency" and findings.sparse() and times.fast > times.dense:
            _undo(fast, findings, times.dense / times.fast)
            times = share(fast, example, judge.stopwatch)
        slimmed = settle(fast)
        cost = None if rounding is None else accuracy(fast, rounding.data)
    judge.timings.save()
    vars(fast)[RECORD] = record_of(
        fast, model, example, findings, times, wish, margin, cost, slimmed
    )
    return fast


@contextmanager
def _left_as_it_was(fast: nn.Module) -> Iterator[None]:
    """Runs inside leave no trace: in buffers, random state, counters and other plain attributes."""
    before = snapshot(fast)
    with undisturbed(fast):
        yield
    put_back(before)


def _search(
    fast: nn.Module,
    example: Example,
    judge: Judge,
    wish: Wish,
    findings: Findings,
    rounding: Rounding | None,
) -> None:
    """Find what can run sparse, and let what wins do so."""
    sparse = {id(p) for p in fast.parameters() if p.dim() >= 2 and density_of(p.detach()) <= DENSE}
    calls = watch(fast, example)
    if sparse:
        descend(fast, calls, sparse, judge, wish, findings, rounding)
    lay_floor(fast, calls, judge, wish, findings, rounding)
    if sparse:
        _check_whole(fast, example, findings, loose=wish.precision != "float32")
    else:
        findings.notes.append(
            f"no weight is sparse enough to gain from: every one has more than {DENSE:.0%} of its "
            "elements left. Make it sparse first, with rarefy.sparsify."
        )
    if rounding is not None:
        for name, why in rounding.why.items():
            findings.layers[name].why += f"; {why}"


def _check(model: nn.Module, goal: str, margin: float) -> None:
    if goal not in GOALS:
        raise UnknownName(f"goal={goal!r} is no goal. Use one of {', '.join(GOALS)}.")
    if not isinstance(margin, int | float) or isinstance(margin, bool) or not 0 <= margin < 10:
        raise BudgetError(
            f"margin={margin!r} is no margin: the share by which sparse must be faster than dense, "
            "such as 0.1 for 10 %."
        )
    if is_root(model) or any(lane_of(module) is not None for module in model.modules()):
        raise AttachError(
            "this model is an accelerated one already. Give rarefy.accelerate the model that it "
            "was made from."
        )


def _check_whole(fast: nn.Module, example: Example, findings: Findings, *, loose: bool) -> None:
    """On the example itself, with its real values."""
    with torch.random.fork_rng(devices=[]):
        found = _seeded(fast, example)
        with dense(fast):
            wanted = _seeded(fast, example)
            if close(found, wanted, loose=loose):
                return
            again = _seeded(fast, example)
    if not close(again, wanted):
        findings.notes.append("the model does not give the same twice, so it was not compared.")
        return
    raise InvariantError(
        "the accelerated model gave something else for the example than the model itself, though "
        "every captured part agreed when it was checked. Nothing was changed. If the model depends "
        "on earlier calls, accelerate the parts of it that do not. Captured were: "
        f"{', '.join(name or 'the model' for name in findings.captured) or 'single layers'}."
    )


def _seeded(fast: nn.Module, example: Example) -> object:
    torch.manual_seed(0)
    return run(fast, fresh(example))


def undo(fast: nn.Module) -> None:
    """Take every lane out again."""
    for module in fast.modules():
        lane = lane_of(module)
        if lane is not None:
            packs: Packs = lane.packs
            packs.remove(module)
            swap(module, None)


def _undo(fast: nn.Module, findings: Findings, times: float) -> None:
    undo(fast)
    findings.captured.clear()
    findings.leaves.clear()
    for row in findings.layers.values():
        if row.kept:
            row.why += f"; but the whole call was {times:.2f}x dense, so all stays dense"
        row.kept, row.chain = False, None
    for chain in findings.chains:
        chain.kept, chain.number = False, None
    findings.notes.append(f"sparse layers made the whole call {times:.2f}x dense: all stays dense.")
