"""The parts that a graph node becomes in a chain, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from rarefy.acceleration._clean import writes
from rarefy.acceleration._sources import Recipe, Source


class Unfit(Exception):  # noqa: N818 - ends as one line of explain(), never reaches users
    """Why a node stays in torch."""


@dataclass(slots=True)
class Part:
    """One step of a program, before registers and sections have numbers."""

    op: str
    options: dict[str, Any] = field(default_factory=dict)
    """A :class:`Param` where a section belongs; anything else as it is written."""


@dataclass(frozen=True, slots=True)
class Param:
    """A section and the shape it is used in; None in place of the recipe: there is no such one."""

    recipe: Recipe | None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """The weight that a node multiplies by."""

    name: str
    """As in ``state_dict()`` of the traced module."""
    source: Source
    turned: bool
    """Whether inputs come first, as in GPT-2's Conv1D."""
    shape: tuple[int, ...]
    """Outputs first."""
    op: str
    """``linear`` or ``conv``."""


@dataclass(slots=True)
class Piece:
    """A node that a chain can compute."""

    inputs: tuple[fx.Node, ...]
    """What it reads, parameters apart."""
    parts: tuple[Part, ...]
    """Each reads what the one before it made; the first the inputs."""
    layer: Layer | None = None


def plain_float(node: fx.Node) -> bool:
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or writes(node):
        return False
    return value.dtype is torch.float32 and value.device.type == "cpu" and 1 <= value.dim() <= 6


def arguments(node: fx.Node) -> dict[str, Any]:
    """All arguments by name, defaults included."""
    schema = node.target._schema  # type: ignore[union-attr]  # only ATen operations get here
    given = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    given.update({a.name: value for a, value in zip(schema.arguments, node.args, strict=False)})
    given.update(node.kwargs)
    return given


def pair_of(given: int | Sequence[int]) -> tuple[int, int]:
    both = [given, given] if isinstance(given, int) else list(given)
    both = both * 2 if len(both) == 1 else both
    if len(both) != 2 or not all(isinstance(side, int) for side in both):
        raise Unfit("its window is not told by two whole numbers")
    return both[0], both[1]
