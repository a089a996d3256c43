"""A method fitted into a run: numbers for its words, or one clear refusal."""

import operator
from dataclasses import replace
from numbers import Integral

from rarefy.allocation import ByName
from rarefy.errors import AttachError, BudgetError, ScheduleError
from rarefy.growth import Growth
from rarefy.schedules import Every, Ramp, decayed, interval, parse
from rarefy.training import Method, Plan


def fit(
    method: Method,
    sparsity: float | None,
    *,
    steps: int | None,
    trains: bool,
    minimum: int,
    seed: int,
) -> Plan:
    """The plan of a run of ``steps`` steps.

    Raises:
        ScheduleError: No steps given, or not one exchange or ramp step fits into them.
        AttachError: The method changes masks while training, and there is no optimizer.
    """
    minimum = _minimum(minimum)
    steps = None if steps is None else _steps(steps)
    record = interval(steps) if steps else 100
    if not method.moves:
        return Plan(method=method, sparsity=sparsity, minimum=minimum, seed=seed, record=record)
    if not trains:
        raise AttachError(
            f"{method.name} changes its mask while the model trains, so it needs optimizer= (and "
            "steps=). Without one, prune at once: rarefy.sparsify(model, sparsity)."
        )
    trigger, ramp = _schedule(method, sparsity, steps)
    if ramp is not None and isinstance(method.allocation, ByName):
        method = replace(method, allocation=replace(method.allocation, final=sparsity))
    return Plan(
        method=method,
        sparsity=sparsity,
        trigger=trigger,
        ramp=ramp,
        minimum=minimum,
        seed=seed,
        record=record,
    )


def _minimum(minimum: object) -> int:
    if isinstance(minimum, bool) or not isinstance(minimum, Integral) or minimum < 0:
        raise BudgetError(
            f"minimum is how many units each weight keeps, 0 or more; found {minimum!r}"
        )
    return operator.index(minimum)


def _steps(steps: object) -> int:
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise ScheduleError(f"steps is the number of optimizer steps, 1 or more; found {steps!r}.")
    return operator.index(steps)


def _schedule(
    method: Method, sparsity: float | None, steps: int | None
) -> tuple[Every, Ramp | None]:
    when = method.when
    if isinstance(when, Ramp):
        return _around(when, sparsity, steps)
    if isinstance(when, str):
        if steps is None:
            raise ScheduleError(
                f"{method.name} follows the length of the run: give steps=, the number of "
                "optimizer steps that will be taken (epochs * len(loader))."
            )
        when = parse(when, steps)
    if not when.times or (steps is not None and when.start + when.steps > steps):
        raise ScheduleError(
            f"{when} never comes due"
            + (f" in {steps} steps." if steps else ".")
            + " Train longer, or choose a shorter interval."
        )
    if steps is not None and when.until > steps:
        raise ScheduleError(
            f"{when} goes on beyond the {steps} steps, so its end would never be reached. "
            f"Train longer, or let until be at most {steps}."
        )
    if method.ramp is None or sparsity is None:
        _refuse_no_exchange(method.growth, when)
        return when, None
    return when, method.ramp(final=sparsity, start=when.start, end=when.until)


def _refuse_no_exchange(growth: Growth, when: Every) -> None:
    first = when.start + when.steps
    share = growth.share
    if growth.decay == "cosine":
        share = decayed(growth.share, first, when.until, final=growth.final)
    if share <= 0:
        raise ScheduleError(
            f"{when} with growth={growth} exchanges nothing: the share is {share:g} already at "
            f"step {first}, where it first comes due. Train longer, choose a shorter interval, or "
            "give growth a share."
        )


def _around(ramp: Ramp, sparsity: float | None, steps: int | None) -> tuple[Every, Ramp]:
    if sparsity is None or ramp.final != sparsity:
        raise BudgetError(
            f"the schedule ends at a sparsity of {ramp.final:g}, but {sparsity} was asked. "
            "Let both say the same."
        )
    if ramp.initial > ramp.final:
        raise BudgetError(
            f"the schedule falls from {ramp.initial:g} to {ramp.final:g}, but pruning only removes."
        )
    if steps is not None and ramp.end > steps:
        raise ScheduleError(f"the ramp ends at step {ramp.end}, beyond the {steps} steps.")
    pace = interval(steps) if steps else max(1, min(100, ramp.end - ramp.start))
    if ramp.end <= ramp.start:
        return Every(steps=1, until=ramp.end + 1, start=ramp.end), ramp
    return Every(steps=min(pace, ramp.end - ramp.start), until=ramp.end, start=ramp.start), ramp
