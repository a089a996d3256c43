"""How many weights there are, are kept, and are not zero."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rarefy._types import NamedTensors
from rarefy.errors import TargetError
from rarefy.masks import Storage
from rarefy.targets import Target, names_of, stored, unwrap


@dataclass(frozen=True, slots=True)
class Count:
    """One weight in numbers. ``kept`` is the mask's, ``nonzero`` the values'; they may differ."""

    name: str
    """Parameter name."""
    aliases: tuple[str, ...]
    """Every name of the weight, the first of them ``name``; more than one where it is tied."""
    shape: tuple[int, ...]
    itemsize: int
    """Bytes of one element."""
    size: int
    """Elements."""
    kept: int
    """Elements whose mask is True; a kept weight may be 0.0."""
    nonzero: int
    """Elements that are not 0.0 (a NaN is not 0.0)."""
    pattern: str | None
    """Shape of what lives, such as ``"2:4"``, where it is known."""
    target: bool
    """False for a weight that was left out: it is whole, and in no total over the targets."""

    @property
    def sparsity(self) -> float:
        """Share of the elements that is removed."""
        return 1 - self.kept / self.size if self.size else 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Every matrix-shaped weight of a model, and the totals over targets and over everything."""

    weights: tuple[Count, ...]
    """Targets in the model's order, then what was left out."""
    parameters: int
    """Elements of all parameters, biases and norms too; a tied one counts once."""
    parameters_nonzero: int
    """How many of them are not 0.0."""

    @property
    def targets(self) -> tuple[Count, ...]:
        """The weights that can be removed from."""
        return tuple(count for count in self.weights if count.target)

    @property
    def size(self) -> int:
        """Elements of the targets."""
        return sum(count.size for count in self.targets)

    @property
    def kept(self) -> int:
        """Elements of the targets that are kept."""
        return sum(count.kept for count in self.targets)

    @property
    def nonzero(self) -> int:
        """Elements of the targets that are not 0.0."""
        return sum(count.nonzero for count in self.targets)

    @property
    def sparsity(self) -> float:
        """Share of the targets' elements that is removed."""
        return 1 - self.kept / self.size if self.size else 0.0

    @property
    def parameters_sparsity(self) -> float:
        """Share of all parameters that is removed."""
        return (self.size - self.kept) / self.parameters if self.parameters else 0.0


def counts(
    weights: NamedTensors,
    masks: NamedTensors,
    *,
    others: Iterable[Tensor] = (),
    targets: Mapping[str, Target] | None = None,
    pattern: str | None = None,
) -> Counts:
    """Counts of ``weights``; those without a mask were left out and are whole.

    Args:
        weights: Parameter name to values, each weight once.
        masks: Parameter name to bool mask, shaped like the weight.
        others: Parameters that are only added to the totals: biases, norms.
        targets: Where they are known, for the names of tied weights.
        pattern: The pattern of all masks, in words.

    Raises:
        TargetError: A mask fits no weight.
    """
    _fitting({name: tuple(weight.shape) for name, weight in weights.items()}, masks)
    rows = [
        _count(name, weight, masks.get(name), (targets or {}).get(name), pattern)
        for name, weight in weights.items()
    ]
    return _summed(rows, others)


def counts_of(
    model: nn.Module,
    masks: NamedTensors,
    *,
    pattern: str | None = None,
) -> Counts:
    """Counts of every parameter of ``model``; a tied one counts once, with all its names.

    A compressed weight counts as the dense one that it stands for: what has no slot is removed,
    and a slot in reserve is none of its elements.

    Args:
        model: Wrapped or plain.
        masks: Parameter name to bool mask, as made by ``rarefy.training.masks_of``.
        pattern: The pattern of all masks, in words.

    Raises:
        TargetError: A mask fits no weight of the model.
    """
    names, layers = names_of(model), stored(model)
    rows: list[Count] = []
    others: list[Tensor] = []
    for parameter in unwrap(model).parameters():
        own = tuple(name.removesuffix("_values") for name in names[id(parameter)])
        layer = layers.get(own[0])
        if layer is not None:
            rows.append(_compressed(layer, *_named(own, masks), pattern))
            continue
        name, aliases = _named(names[id(parameter)], masks)
        if name in masks or parameter.dim() > 1:
            tied = Target(name, aliases, "", tuple(parameter.shape))
            rows.append(_count(name, parameter, masks.get(name), tied, pattern))
        else:
            others.append(parameter)
    _fitting({row.name: row.shape for row in rows}, masks)
    return _summed(rows, others)


def _fitting(shapes: Mapping[str, tuple[int, ...]], masks: NamedTensors) -> None:
    for name, mask in masks.items():
        if shapes.get(name) != tuple(mask.shape):
            found = shapes.get(name, "no such weight")
            raise TargetError(
                f"the mask of {name} has shape {tuple(mask.shape)}; the model has {found}. "
                "The masks belong to another model."
            )


def _summed(rows: list[Count], others: Iterable[Tensor]) -> Counts:
    rows.sort(key=lambda row: not row.target)
    rest = list(others)
    return Counts(
        tuple(rows),
        sum(row.size for row in rows) + sum(tensor.numel() for tensor in rest),
        sum(row.nonzero for row in rows) + sum(_nonzero(tensor) for tensor in rest),
    )


def _named(aliases: tuple[str, ...], masks: NamedTensors) -> tuple[str, tuple[str, ...]]:
    # A mask may go by any name of a tied weight.
    name = next((alias for alias in aliases if alias in masks), aliases[0])
    return name, (name, *(alias for alias in aliases if alias != name))


def _count(
    name: str, weight: Tensor, mask: Tensor | None, target: Target | None, pattern: str | None
) -> Count:
    return Count(
        name=name,
        aliases=target.aliases if target else (name,),
        shape=tuple(weight.shape),
        itemsize=weight.element_size(),
        size=weight.numel(),
        kept=weight.numel() if mask is None else int(mask.sum()),
        nonzero=_nonzero(weight),
        pattern=None if mask is None else pattern,
        target=mask is not None,
    )


def _compressed(layer: Storage, name: str, aliases: tuple[str, ...], pattern: str | None) -> Count:
    values, shape, count = layer.weight_values, tuple(layer.weight_shape()), layer.count()
    return Count(
        name=name,
        aliases=aliases,
        shape=shape,
        itemsize=values.element_size(),
        size=math.prod(shape),
        kept=count,
        nonzero=_nonzero(values[:count]),
        pattern=pattern,
        target=True,
    )


def _nonzero(tensor: Tensor) -> int:
    return int(torch.count_nonzero(tensor.detach()))
