"""Which backward passes are recorded, so that growth can look at the dense gradient by rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from torch import Tensor

from rarefy.masks import Storage


class Recorder:
    """On before a step that growth looks at, off before every other.

    What was recorded belongs to the gradient that waits for the step: once that is begun anew
    (a step was skipped, or the user thought better of it), earlier passes no longer count.
    """

    def __init__(self) -> None:
        self._on: ExitStack | None = None
        self._known: dict[str, int] = {}

    def switch(self, storages: Mapping[str, Storage] | None) -> None:
        """Record these from now on, in place of any before; None records nothing."""
        if self._on is not None:
            self._on.close()
        self._on, self._known = None, {}
        if storages is not None:
            self._on = ExitStack()
            for storage in storages.values():
                self._on.enter_context(storage.recorded())

    def arrived(self, name: str, storage: Storage, held: Tensor | None) -> None:
        """A backward pass has come to its end for a weight.

        Args:
            name: Whose gradient arrived.
            storage: Where the pass is recorded.
            held: The gradient that it is added to; none, or all zero, where it is the first.
        """
        if self._on is None:
            return
        if held is None or not held.any():
            storage.forget_recorded(self._known.get(name, 0))
        self._known[name] = storage.recorded_passes()
