"""Sparsity in deep learning, made real and measured: from dense to sparse, and what it saves."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rarefy import (
    allocation,
    errors,
    growth,
    masks,
    methods,
    patterns,
    schedules,
    scores,
    targets,
    training,
)
from rarefy.front import accelerate, hold, load, save, sparsify
from rarefy.training import Sparsifier

if TYPE_CHECKING:
    from rarefy import metrics
    from rarefy.reports import report

    __version__: str

__all__ = [
    "Sparsifier",
    "accelerate",
    "allocation",
    "errors",
    "growth",
    "hold",
    "load",
    "masks",
    "methods",
    "metrics",
    "patterns",
    "report",
    "save",
    "schedules",
    "scores",
    "sparsify",
    "targets",
    "training",
]

_LATER = {"report": "rarefy.reports"}
"""Verbs whose rooms are loaded when they are first used, to keep the import fast."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the room calls so
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name == "metrics":
        return import_module("rarefy.metrics")
    if name == "__version__":
        return import_module("importlib.metadata").version("rarefy")
    raise AttributeError(f"module 'rarefy' has no attribute {name!r}")
