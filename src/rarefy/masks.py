"""Which weights are kept: bool masks by parameter name, True where a weight lives."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import torch
from torch import Tensor

from rarefy._types import NamedTensors


class MaskSet(Mapping[str, Tensor]):
    """Parameter name to mask, shaped like the weight; read-only.

    What is held are the removed places, because that is what zeroing needs: a mask is made anew
    each time it is asked for, so writing into it changes nothing.
    """

    def __init__(self, masks: NamedTensors) -> None:
        self._removed = {name: ~mask for name, mask in masks.items()}

    def __getitem__(self, name: str) -> Tensor:
        return ~self._removed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._removed)

    def __len__(self) -> int:
        return len(self._removed)

    def __repr__(self) -> str:
        return f"MaskSet({len(self)} weights, {self.kept} of {self.size} kept)"

    def removed(self, name: str, device: torch.device) -> Tensor:
        """Bool, True where the weight is gone; moved once to where the weight is now."""
        removed = self._removed[name]
        if removed.device != device:
            removed = self._removed[name] = removed.to(device)
        return removed

    @cached_property
    def size(self) -> int:
        """Weights in all, kept or not."""
        return sum(removed.numel() for removed in self._removed.values())

    @cached_property
    def kept(self) -> int:
        """Weights kept; a kept weight may be 0.0."""
        return self.size - sum(int(removed.sum()) for removed in self._removed.values())

    @property
    def sparsity(self) -> float:
        """Share of the weights that is removed."""
        return 1 - self.kept / self.size if self.size else 0.0

    @torch.no_grad()
    def apply_(self, tensors: NamedTensors) -> None:
        """Zero the removed places of ``tensors``, in place; what is NaN there becomes 0 too."""
        for name in self:
            tensors[name].masked_fill_(self.removed(name, tensors[name].device), 0)
