"""Where the parameters of a chain come from, and the sections that are packed from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rarefy.acceleration._lean import LeanWeight
from rarefy.errors import TargetError
from rarefy.kernels import Section, floats, pack, quantize

Table = Literal["_parameters", "_buffers"]
Kind = Literal["weight", "turned", "floats", "affine", "norm"]


@dataclass(frozen=True, slots=True)
class Source:
    """One parameter or buffer, by its place below a module."""

    path: tuple[str, ...]
    """Names of the modules on the way down."""
    table: Table
    key: str

    @property
    def name(self) -> str:
        """As in ``state_dict()`` of the module."""
        return ".".join((*self.path, self.key))

    def holder(self, module: nn.Module) -> dict[str, Tensor | None]:
        """The dictionary of the owning module that holds it now.

        Raises:
            TargetError: A module on the way is not there any more.
        """
        for part in self.path:
            inner = module._modules.get(part)
            if inner is None:
                raise TargetError(
                    f"the model has no {self.name!r} any more: a layer was replaced or removed. "
                    "Call rarefy.accelerate on the model as it is now."
                )
            module = inner
        table: dict[str, Tensor | None] = getattr(module, self.table)
        return table

    def tensor(self, module: nn.Module) -> Tensor:
        """The tensor itself.

        Raises:
            TargetError: It is not there any more.
        """
        found = self.holder(module).get(self.key)
        if found is None:
            raise TargetError(
                f"the model has no {self.name!r} any more. Call rarefy.accelerate on the model as "
                "it is now."
            )
        return found


def source_of(module: nn.Module, name: str) -> Source | None:
    """The parameter or buffer of that name below ``module``; None where there is none."""
    *path, key = name.split(".")
    for part in path:
        inner = module._modules.get(part)
        if inner is None:
            return None
        module = inner
    for table in ("_parameters", "_buffers"):
        if getattr(module, table).get(key) is not None:
            return Source(tuple(path), table, key)
    return None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one section is made.

    A ``weight`` as it lies, one that is ``turned`` (inputs first), ``floats``, ``affine`` (scale
    and shift of a BatchNorm) or ``norm`` (gamma and beta of a LayerNorm).
    """

    kind: Kind
    sources: tuple[Source | None, ...]
    """A weight or floats: one. A BatchNorm: weight, bias, mean, variance, step counter. A
    LayerNorm: weight, bias."""
    size: int = 0
    """Channels or features of ``affine`` and ``norm``."""
    eps: float = 0.0
    precision: str = "float32"
    """How values of a weight are kept; others are float32."""

    def section(self, module: nn.Module) -> Section:
        """The bytes, from what the parameters hold now.

        Raises:
            TargetError: A parameter is gone, or is no float32 on the CPU any more.
        """
        values = [None if s is None else _values(s, module) for s in self.sources]
        with torch.inference_mode(False), torch.no_grad():
            if self.kind in ("weight", "turned"):
                return _weight(self, _there(values[0]))
            if self.kind == "floats":
                return floats(_there(values[0]))
            if self.kind == "norm":
                return floats(torch.cat([_or_one(values[0], self), _or_zero(values[1], self)]))
            return floats(torch.cat(_scale_and_shift(values, self)))


def _weight(recipe: Recipe, values: Tensor) -> Section:
    if isinstance(values, LeanWeight):
        if recipe.precision == "float32":
            return values.section
        values = values.dense()
    matrix = values.t().contiguous() if recipe.kind == "turned" else values
    if recipe.precision == "float32":
        # Zeros are not stored whether a mask kept them or not: they add nothing.
        return pack(matrix)
    return quantize(matrix, None, recipe.precision)


def _scale_and_shift(values: Sequence[Tensor | None], recipe: Recipe) -> list[Tensor]:
    """BatchNorm in evaluation: y = x * scale + shift; in double, then rounded once."""
    mean, variance = _there(values[2]).double(), _there(values[3]).double()
    scale = _or_one(values[0], recipe).double() / (variance + recipe.eps).sqrt()
    shift = _or_zero(values[1], recipe).double() - mean * scale
    return [scale.float(), shift.float()]


def _values(source: Source, module: nn.Module) -> Tensor:
    found = source.tensor(module)
    counter = not found.dtype.is_floating_point
    if not found.is_cpu or (found.dtype is not torch.float32 and not counter):
        raise TargetError(
            f"{source.name} is {found.dtype} on {found.device}; only float32 on the CPU is packed."
        )
    return found if isinstance(found, LeanWeight) else found.detach()


def _there(values: Tensor | None) -> Tensor:
    if values is None:
        raise TargetError("a packed parameter is missing. Call rarefy.accelerate again.")
    return values


def _or_one(values: Tensor | None, recipe: Recipe) -> Tensor:
    return torch.ones(recipe.size) if values is None else values


def _or_zero(values: Tensor | None, recipe: Recipe) -> Tensor:
    return torch.zeros(recipe.size) if values is None else values


def density_of(tensor: Tensor) -> float:
    """Share of the elements that are not zero; 1 for an empty tensor."""
    return float(torch.count_nonzero(tensor)) / max(1, tensor.numel()) if tensor.numel() else 1.0


def bytes_of(shape: Sequence[int]) -> int:
    """Bytes of a dense float32 tensor."""
    return 4 * math.prod(shape)
