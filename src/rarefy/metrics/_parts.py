"""Seconds by part of a training step; a part within another is its own, and not the other's."""

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("forward", "backward", "optimizer", "holding", "update", "other")
"""What a step is made of: the model's forward pass, its backward pass, the optimizer's own work,
what the Sparsifier does at every step (zeros, counting), its topology update, and all the rest:
data, the loss, clearing gradients."""


class Parts:
    """A stopwatch for one step after another."""

    def __init__(self) -> None:
        self.seconds = {part: array("d") for part in PARTS}
        """Of each step by part."""
        self._open: list[str] = []
        self._now = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()

    def enter(self, part: str) -> None:
        """A part begins; the one that it is within waits."""
        self._book()
        self._open.append(part)

    def leave(self, part: str) -> None:
        """A part ends; nothing where it is not the innermost, as after an error."""
        if self._open and self._open[-1] == part:
            self._book()
            self._open.pop()

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """A part from beginning to end."""
        self.enter(part)
        try:
            yield
        finally:
            self.leave(part)

    def end_step(self) -> None:
        """The step is done; what an error has left open is closed."""
        self._book()
        self._open.clear()
        for part, seconds in self._now.items():
            self.seconds[part].append(seconds)
        self._now = dict.fromkeys(PARTS, 0.0)

    def restart(self) -> None:
        """Forget what happened since the last step, such as an evaluation."""
        self._open.clear()
        self._now = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()

    def _book(self) -> None:
        now = time.perf_counter()
        self._now[self._open[-1] if self._open else "other"] += now - self._since
        self._since = now
