"""What a call looked like: its tensors by shape and dtype, everything else by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class TensorLike:
    """A tensor argument."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def example(self) -> Tensor:
        """Some tensor like it: normal numbers, zeros (which any table of look-ups has), or true."""
        if self.dtype.is_floating_point:
            # A generator of its own: nobody's random numbers change.
            return torch.randn(self.shape, generator=torch.Generator()).to(self.dtype)
        if self.dtype is torch.bool:
            return torch.ones(self.shape, dtype=torch.bool)
        return torch.zeros(self.shape, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that is part of the captured code: a number, a string, None."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Opaque:
    """An argument that cannot be captured, by the name of its type."""

    type: str


Argument = TensorLike | Constant | Opaque


def argument_of(value: object) -> Argument:
    """What is remembered of an argument."""
    if isinstance(value, Tensor):
        plain = type(value) in (Tensor, torch.nn.Parameter) and value.layout is torch.strided
        if plain and value.device.type == "cpu":
            return TensorLike(tuple(value.shape), value.dtype)
        return Opaque(f"{type(value).__name__} ({value.layout}, {value.device})")
    if value is None or type(value) in (bool, int, float, str):
        return Constant(value)  # type: ignore[arg-type]  # just asked
    return Opaque(type(value).__name__)


def names_of_arguments(forward: Any) -> tuple[str, ...]:  # noqa: ANN401 - any callable
    """The names that positional arguments have, in their order, without ``self``.

    A tail ``*args`` has no names, so what it takes cannot be told.
    """
    found = list(signature(forward).parameters.values())[1:]
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in found if p.kind in kinds)


def ordered(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, in the order of the signature.

    Raises:
        TypeError: More positional arguments than names.
    """
    forward = type(module).forward
    names = names_of_arguments(forward)
    if len(args) > len(names):
        raise TypeError(f"{len(args)} positional arguments, {len(names)} names")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    places = list(_parameters(signature(forward)))
    rank = {name: place for place, name in enumerate(places)}
    return dict(sorted(given.items(), key=lambda item: rank.get(item[0], len(places))))


def _parameters(found: Signature) -> list[str]:
    return [name for name in found.parameters if name != "self"]
