"""Which weights are kept: bool masks by parameter name, True where a weight lives."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import torch
from torch import Tensor

from rarefy._types import NamedTensors

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element to integers of that width."""


class MaskSet(Mapping[str, Tensor]):
    """Parameter name to mask, shaped like the weight; read-only.

    A mask that is asked for is a copy, so writing into it changes nothing.
    """

    def __init__(self, masks: NamedTensors) -> None:
        self._kept = {name: mask.clone() for name, mask in masks.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name].clone()

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"MaskSet({len(self)} weights, {self.kept} of {self.size} kept)"

    def removed(self, name: str, device: torch.device) -> Tensor:
        """Bool, True where the weight is gone, on the device where the weight is now."""
        return ~self._on(name, device)

    def clear_(self, name: str, tensor: Tensor) -> None:
        """Zero the removed places of ``tensor``, in place; what is NaN there becomes 0 too."""
        kept = self._on(name, tensor.device)
        words = _WORDS.get(tensor.element_size())
        if tensor.device.type != "cpu" or words is None or not tensor.is_floating_point():
            tensor.masked_fill_(~kept, 0)
            return
        # The bits times one or nought: on the CPU six times as fast as masked_fill_, and as exact.
        tensor.view(words).mul_(kept.view(torch.uint8))

    def _on(self, name: str, device: torch.device) -> Tensor:
        kept = self._kept[name]
        if kept.device != device:
            kept = self._kept[name] = kept.to(device)
        return kept

    @cached_property
    def size(self) -> int:
        """Weights in all, kept or not."""
        return sum(kept.numel() for kept in self._kept.values())

    @cached_property
    def kept(self) -> int:
        """Weights kept; a kept weight may be 0.0."""
        return sum(int(kept.sum()) for kept in self._kept.values())

    @property
    def sparsity(self) -> float:
        """Share of the weights that is removed."""
        return 1 - self.kept / self.size if self.size else 0.0

    @torch.no_grad()
    def apply_(self, tensors: NamedTensors) -> None:
        """Zero the removed places of ``tensors``, in place; what is NaN there becomes 0 too."""
        for name in self:
            self.clear_(name, tensors[name])
