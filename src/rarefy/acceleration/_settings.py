"""Plain attributes that captured code has baked in, compared before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

Settings = Mapping[str, Mapping[str, Any]]
"""Plain values by name: the module's own under ``""``, those of a configuration under its path."""

_OURS = ("_rarefy", "_is_full_backward_hook", "training")


def settings_of(module: nn.Module) -> Settings:
    """The numbers, words and flags of the module itself, and of every ``config`` below it.

    Code that is captured has taken their values in. Those of the modules inside it are not
    watched: there are too many to compare in each call.
    """
    found = {"": _plain(vars(module))}
    seen: set[int] = set()
    for path, inner in module.named_modules():
        config = vars(inner).get("config")
        if hasattr(config, "__dict__") and id(config) not in seen:
            seen.add(id(config))
            found[f"{path}."] = _plain(vars(config))
    return found


Bound = list[tuple[Mapping[str, Any], str, Any]]
"""Where each value is looked up, under what name, and what it was."""


def unchanged(module: nn.Module, before: Settings) -> bool:
    """Whether all of them are as they were."""
    now = bound(module, before)
    return now is not None and same(now)


def bound(module: nn.Module, before: Settings) -> Bound | None:
    """The settings with the places where they are now; None where a place is gone.

    Looking up the places takes longer than comparing, so it is done once.
    """
    found: Bound = []
    for path, values in before.items():
        place: Mapping[str, Any] | None = vars(module)
        if path:
            holder = _holder(module, path[:-1])
            config = None if holder is None else holder.get("config")
            place = vars(config) if hasattr(config, "__dict__") else None
            if holder is not None:
                found.append((holder, "config", config))  # another one may take its place
        if place is None:
            return None
        found += [(place, name, value) for name, value in values.items()]
    return found


def same(settings: Bound) -> bool:
    """Whether every value is as it was."""
    for place, name, value in settings:
        found = place.get(name, same)
        if found is not value and (type(found) is not type(value) or found != value):
            return False
    return True


def _holder(module: nn.Module, path: str) -> Mapping[str, Any] | None:
    for part in path.split(".") if path else ():
        inner = module._modules.get(part)
        if inner is None:
            return None
        module = inner
    return vars(module)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if not name.startswith(_OURS) and (value is None or type(value) in (bool, int, float, str))
    }
