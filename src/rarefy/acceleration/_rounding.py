"""Which layers may be rounded, and how: decided on what they are really called with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from rarefy.acceleration._arguments import ordered
from rarefy.acceleration._compiled import compiled
from rarefy.acceleration._install import dense
from rarefy.acceleration._leaf import leaf_piece
from rarefy.acceleration._piece import Layer
from rarefy.acceleration._precision import answer
from rarefy.acceleration._prepare import Unit, accepts, tapped
from rarefy.acceleration._regions import regions
from rarefy.acceleration._rows import DENSE
from rarefy.acceleration._sources import density_of
from rarefy.errors import RarefyError
from rarefy.kernels import quantize_within

KINDS = {"int8": ("w8a8", "w8a16"), "bfloat16": ("bf16", "f16")}
"""Kinds of weight that a precision allows. float16 has no room for large numbers, but rows and
tokens have scales; where the CPU computes in it, it is more exact than bfloat16, and often faster.
"""
BOUND = 0.02
"""Largest relative error of a layer's output; int8 usually makes 0.6 to 1 %."""

_OF_IMAGES = frozenset({"flatten", "max_pool", "mean"})
_BATCHES = 4
_TOKENS = 256
"""Tokens of a batch that are looked at in each layer."""


@dataclass(slots=True)
class Rounding:
    """What low precision may do in each layer, by the weight's name in the model."""

    precision: str
    model: nn.Module
    data: Iterable[Any]
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The kinds whose measured error is small enough; the fastest of them is taken."""
    why: dict[str, str] = field(default_factory=dict)
    """What was measured; or why a layer stays in float32."""

    def look_at(self, unit: Unit) -> None:
        """Decide for the linear layers of a traced module, but those in a chain of convolutions.

        Chains of images have no weights of low precision. Where a region has no convolution, what
        makes it one of images (a flatten, say) is left to torch.
        """
        nodes: dict[fx.Node, Layer] = {}
        for region in regions(unit.nodes, unit.pieces):
            ops = {node: {part.op for part in unit.pieces[node].parts} for node in region}
            if any("conv" in found for found in ops.values()):
                continue
            for node in region:
                layer = unit.pieces[node].layer
                if ops[node] & _OF_IMAGES:
                    del unit.pieces[node]
                elif layer and density_of(layer.source.tensor(unit.module)) <= DENSE:
                    nodes[node] = layer
        seen: dict[fx.Node, list[Tensor]] = {node: [] for node in nodes}
        if nodes:
            self._run([unit.module], _tap(unit, seen))
        for node, layer in nodes.items():
            self._decide(unit.name(layer.name), layer, unit.module, seen[node])

    def look_at_layers(self, modules: dict[str, nn.Module]) -> None:
        """Decide for single linear layers, by their names in the model."""
        seen: dict[nn.Module, list[Tensor]] = {module: [] for module in modules.values()}

        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
            if tensors:
                seen[module].append(_some(tensors[0]))

        self._run(list(seen), note)
        for path, module in modules.items():
            piece = leaf_piece(module)
            name = f"{path}.weight" if path else "weight"
            if not isinstance(piece, str) and piece.layer is not None:
                self._decide(name, piece.layer, module, seen[module])

    def _run(self, modules: list[nn.Module], note: Callable[..., None]) -> None:
        with ExitStack() as stack, torch.no_grad(), dense(self.model):
            for module in modules:
                hook = module.register_forward_pre_hook(note, with_kwargs=True)
                stack.callback(hook.remove)
            for batch in itertools.islice(self.data, _BATCHES):
                answer(self.model, batch)

    def _decide(self, name: str, layer: Layer, module: nn.Module, seen: list[Tensor]) -> None:
        if not seen:
            self.why[name] = (
                f"no batch of data reached it, so it is not rounded to {self.precision}"
            )
            return
        weight = layer.source.tensor(module)
        matrix = weight.t().contiguous() if layer.turned else weight
        tokens, found, errors = torch.cat(seen), [], []
        for kind in KINDS[self.precision]:
            try:
                chosen = quantize_within(matrix, None, tokens, BOUND, (kind,))
            except RarefyError as error:
                errors.append(str(error).split(" Keep")[0])
                continue
            found.append(f"{kind} changes its output by {chosen.error:.2%}")
            self.kinds[name] = (*self.kinds.get(name, ()), kind)
        self.why[name] = ", ".join(found) or f"stays in float32: {errors[0]}"


def _tap(unit: Unit, seen: dict[fx.Node, list[Tensor]]) -> Callable[..., None]:
    """A hook that runs the traced code up to the inputs of these nodes, and keeps some of them."""
    run = compiled(tapped(unit, list(seen)), unit.module, _no_chain)
    accepted = accepts(unit)

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = ordered(module, args, kwargs)
        values = accepted.values((), given)
        if values is not None:
            for node, x in zip(seen, run(module, *values), strict=True):
                seen[node].append(_some(x))

    return note


def _no_chain(module: Any, number: int, inputs: list[Any]) -> list[Any]:  # noqa: ANN401
    raise RuntimeError(f"traced code calls no chain, but {number} of {module} with {inputs}")


def _some(x: Tensor) -> Tensor:
    """Tokens from all over the batch."""
    tokens = x.detach().reshape(-1, x.shape[-1])
    return tokens[:: max(1, -(-len(tokens) // _TOKENS))].clone()
