"""Triggers in words."""

import re

from rarefy.errors import ScheduleError
from rarefy.schedules._triggers import Every, interval

_GRAMMAR = re.compile(
    r"every(?:\s+(?P<steps>\d+))?(?:\s+from\s+(?P<start>\d+\s*%?))?(?:\s+until\s+(?P<until>\d+\s*%?))?"
)


def parse(words: str, steps: int) -> Every:
    """The trigger that ``words`` name, in a run of ``steps`` optimizer steps.

    ``every 100 until 75%``, ``every 20 from 500 until 2000``, ``every until 75%`` (the interval is
    then :func:`interval`), ``every 100`` (until 75 %).

    Raises:
        ScheduleError: The words are no trigger, or it would never come due.

    >>> parse("every 100 until 75%", steps=1_000)
    Every(steps=100, until=750, start=0)
    """
    match = _GRAMMAR.fullmatch(words.strip().lower())
    if match is None:
        raise ScheduleError(
            f"when={words!r} is not understood. Write: every 100 until 75%, "
            "every 20 from 500 until 2000, or (to rarefy.sparsify) once."
        )
    until = _place(match["until"] or "75%", steps)
    if until > steps:
        raise ScheduleError(f"when={words!r} goes on until {until}, beyond the {steps} steps.")
    trigger = Every(
        steps=int(match["steps"] or interval(steps)),
        start=_place(match["start"] or "0", steps),
        # Nothing is chosen after the last step: what came then would never be trained.
        until=min(until, steps - 1),
    )
    if not trigger.times:
        raise ScheduleError(
            f"when={words!r} never comes due in {steps} steps: it runs from {trigger.start} to "
            f"{trigger.until}, every {trigger.steps}. Train longer, or choose a shorter interval."
        )
    return trigger


def _place(text: str, steps: int) -> int:
    number = int(text.rstrip("% "))
    if not text.endswith("%"):
        return number
    if number > 100:
        raise ScheduleError(f"{number}% of a run is beyond its end: write at most 100%")
    return steps * number // 100
