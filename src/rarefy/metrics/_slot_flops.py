"""FLOPs of compressed layers: torch's counter does not know their operation."""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from rarefy.targets import stored, unwrap


@dataclass(frozen=True, slots=True)
class WeightFlops:
    """FLOPs that one weight takes part in."""

    dense: int
    """As if no element were zero."""
    effective: int
    """Those whose weight is not zero; of a compressed weight, those that it has a slot for."""


@dataclass(frozen=True, slots=True)
class Flops:
    """FLOPs of one forward pass on one example; a multiply-add counts as 2.

    Matrix products, convolutions and scaled-dot-product attention are counted, by
    ``torch.utils.flop_counter``; of a compressed layer 2 a slot and position. Elementwise work,
    normalisation, pooling and look-ups are left out, as is usual. Only zeros in weights make
    ``effective`` smaller, not zeros in activations.
    """

    weights: dict[str, WeightFlops]
    """Parameter name to its share."""
    other: int
    """FLOPs of products without a parameter, such as attention scores; the same in both sums."""
    not_counted: dict[str, str]
    """Parameter name to the reason why its FLOPs are in no sum."""
    batch: int | None
    """Samples in the example."""

    @property
    def dense(self) -> int:
        """As if no weight were zero."""
        return self.other + sum(share.dense for share in self.weights.values())

    @property
    def effective(self) -> int:
        """Those left when products with a zero weight are skipped."""
        return self.other + sum(share.effective for share in self.weights.values())


class SlotFlops:
    """While it is entered, books 2 FLOPs for each slot and position of every compressed layer."""

    def __init__(self, model: nn.Module, counter: FlopCounterMode) -> None:
        self.aside = 0
        """What torch counted inside these layers: whatever their form in plain torch does."""
        self._layers = {id(layer): (name, layer) for name, layer in _first_names(model).items()}
        self._order = [name for name, _ in unwrap(model).named_parameters()]
        self._counter = counter
        self._before = 0
        self._positions: dict[str, int] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for _, layer in self._layers.values():
            self._handles.append(layer.register_forward_pre_hook(self._begin))
            self._handles.append(layer.register_forward_hook(self._end))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, *_: object) -> None:
        self._before = self._counter.get_total_flops()

    def _end(self, layer: nn.Module, _: object, output: Tensor) -> None:
        self.aside += self._counter.get_total_flops() - self._before
        name, held = self._layers[id(layer)]
        places = output.numel() // held.weight_shape()[0]
        self._positions[name] = self._positions.get(name, 0) + places

    def beside(self, found: Flops) -> Flops:
        """What was found of the other weights, with these in their places."""
        if not self._layers:
            return found
        weights, missing = dict(found.weights), dict(found.not_counted)
        for name, layer in self._layers.values():
            places = self._positions.get(name)
            if places is None:
                missing[name] = "not reached by this example"
                continue
            size = math.prod(layer.weight_shape())
            weights[name] = WeightFlops(2 * size * places, 2 * layer.count() * places)
        order = {name.removesuffix("_values"): at for at, name in enumerate(self._order)}
        sorted_ = dict(sorted(weights.items(), key=lambda item: order.get(item[0], len(order))))
        return replace(found, weights=sorted_, not_counted=missing)


def _first_names(model: nn.Module) -> dict[str, Any]:
    """Each compressed layer once, by the first of its weight's names."""
    once: dict[int, str] = {}
    layers = stored(model)
    for name, layer in layers.items():
        once.setdefault(id(layer), name)
    return {name: layers[name] for name in once.values()}
