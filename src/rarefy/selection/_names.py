"""Parts by name: a room's sorted ``__all__`` is its registry."""

import difflib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rarefy.errors import UnknownName


def named(room: ModuleType, name: str, fits: Callable[[Any], bool] = inspect.isfunction) -> Any:  # noqa: ANN401 - a room holds functions and classes
    """The public part of ``room`` called ``name``, lower-case, a trailing underscore dropped.

    Args:
        room: A package whose ``__all__`` lists its parts.
        name: As a user writes it.
        fits: Which of the room's parts can be meant: functions, unless said otherwise.

    Raises:
        UnknownName: The room has no such part; the nearest one is named.
    """
    parts = {
        part.lower().rstrip("_"): value
        for part in sorted(room.__all__)
        if fits(value := getattr(room, part))
    }
    key = name.strip().lower().rstrip("_")
    if key in parts:
        return parts[key]
    near = difflib.get_close_matches(key, parts, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownName(f"{room.__name__} has no {name!r}.{hint} It has: {', '.join(parts)}.")
