"""Which calls captured code can answer; all others go to the module's own ``forward``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from rarefy.acceleration._arguments import Constant, TensorLike
from rarefy.acceleration._conditions import Condition


@dataclass(frozen=True, slots=True)
class TensorWanted:
    """A tensor argument as the code needs it."""

    dtype: torch.dtype
    sizes: tuple[int | None, ...]
    """Sides that must be so; None where any size from ``least`` on will do."""
    least: tuple[int, ...]
    """2 where a size of one would mean something else, as in ``if x.shape[0] == 1``; else 1."""
    fixed: tuple[tuple[int, int], ...] = field(init=False, compare=False, repr=False)
    """The sides that must be so, with their sizes: what is compared in each call."""
    open: tuple[tuple[int, int], ...] = field(init=False, compare=False, repr=False)
    """The other sides, each with its least size."""

    def __post_init__(self) -> None:
        sides = list(enumerate(zip(self.sizes, self.least, strict=True)))
        fixed = tuple((side, size) for side, (size, _) in sides if size is not None)
        object.__setattr__(self, "fixed", fixed)
        rest = tuple((side, least) for side, (size, least) in sides if size is None)
        object.__setattr__(self, "open", rest)


@dataclass(frozen=True, slots=True)
class Accepts:
    """The calls that captured code can answer."""

    names: tuple[str, ...]
    """Of the positional arguments."""
    wanted: Mapping[str, TensorWanted | Constant]
    """Every argument that must be given, in the order of the code's inputs."""
    conditions: tuple[Condition, ...] = ()

    def values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any] | None:
        """The arguments in order; None if the call is another one than the code was made for."""
        count = len(args) + len(kwargs)
        if count != len(self.wanted) or len(args) > len(self.names):
            return None
        given = dict(zip(self.names, args, strict=False))
        if kwargs:
            given.update(kwargs)
        values = []
        for name, wanted in self.wanted.items():
            if name not in given or not _fits(given[name], wanted):
                return None
            values.append(given[name])
        return values if not self.conditions or self._hold(given) else None

    def _hold(self, given: Mapping[str, Any]) -> bool:
        sizes = {name: v.shape for name, v in given.items() if isinstance(v, Tensor)}
        return all(condition.holds(sizes) for condition in self.conditions)

    def not_one(self, sides: Mapping[str, frozenset[int]]) -> Accepts:
        """The same, but a size of one is refused at these sides of these arguments."""
        wanted = dict(self.wanted)
        for name, which in sides.items():
            old = wanted[name]
            if isinstance(old, TensorWanted):
                least = tuple(2 if s in which else one for s, one in enumerate(old.least))
                wanted[name] = replace(old, least=least)
        return replace(self, wanted=wanted)


def _fits(value: object, wanted: TensorWanted | Constant) -> bool:
    if isinstance(wanted, Constant):
        return type(value) is type(wanted.value) and value == wanted.value
    if not isinstance(value, Tensor) or value.dtype is not wanted.dtype or not value.is_cpu:
        return False
    shape = value.shape
    if len(shape) != len(wanted.sizes) or value.layout is not torch.strided:
        return False
    for side, size in wanted.fixed:
        if shape[side] != size:
            return False
    for side, least in wanted.open:
        if shape[side] < least:
            return False
    return not (value.requires_grad and torch.is_grad_enabled())


def wanted_of(argument: TensorLike | Constant, pinned: tuple[int | None, ...]) -> Any:  # noqa: ANN401
    """What is wanted of an argument that was traced like this."""
    if isinstance(argument, Constant):
        return argument
    return TensorWanted(argument.dtype, pinned, (1,) * len(pinned))
