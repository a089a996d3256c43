"""A limit on the time that tracing may take."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode


class TooSlow(Exception):  # noqa: N818 - says why there is no capture; users do not meet it
    """Tracing took longer than it may."""


class Deadline(TorchFunctionMode):
    """Inside it the first torch function after the given seconds raises :class:`TooSlow`.

    Shapes in symbols can take minutes to reason about; the time is spent between functions.
    What counts is this thread's own time, so that a busy machine gives no other answer.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        del types
        if self._clock() > self._end:
            raise TooSlow(f"tracing took longer than {self._seconds:g} s")
        return func(*args, **(kwargs or {}))
