"""Who is faster here: a layer or a region in torch, or as a chain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rarefy.acceleration._compiled import compiled
from rarefy.acceleration._piece import Piece
from rarefy.acceleration._script import Script
from rarefy.acceleration._sources import density_of
from rarefy.acceleration._time import Stopwatch
from rarefy.acceleration._timings import Seconds, Timings, bucket
from rarefy.acceleration._translate import Chain, alone
from rarefy.kernels import Plan, join


@dataclass(slots=True)
class Ready:
    """A chain with its packed bytes and its plan."""

    packed: Tensor
    plan: Plan


class Judge:
    """Times candidates, remembers what it timed, and says who wins.

    Args:
        margin: Sparse must be this share faster than dense to be taken: 0.1 is 10 %.
        stopwatch: Takes the times.
        timings: What is known already.
    """

    def __init__(self, margin: float, stopwatch: Stopwatch, timings: Timings) -> None:
        self.margin = margin
        self.stopwatch = stopwatch
        self.timings = timings
        self._ready: dict[tuple[int, Chain], Ready] = {}

    def wins(self, sparse: float, dense: float) -> bool:
        """Whether sparse is faster by the margin."""
        return sparse * (1 + self.margin) <= dense

    def ready(self, chain: Chain, module: nn.Module) -> Ready:
        """The chain packed from what ``module`` holds, kept for who installs it."""
        key = (id(module), chain)
        if key not in self._ready:
            packed = join([recipe.section(module) for recipe in chain.recipes])
            self._ready[key] = Ready(packed, Plan(packed, chain.program))
        return self._ready[key]

    def forget(self) -> None:
        """Let go of every chain that was kept."""
        self._ready.clear()

    def layer(
        self,
        piece: Piece,
        module: nn.Module,
        shape: Sequence[int],
        kinds: Sequence[str] = ("float32",),
    ) -> Seconds:
        """Seconds of one layer: ``dense``, and each precision that its values may have.

        Args:
            piece: The layer.
            module: Holds its parameters.
            shape: Of its input; the leading sides of a linear layer are its tokens.
            kinds: Precisions.
        """
        layer = piece.layer
        if layer is None:
            raise ValueError("only a layer has a time")
        weight = layer.source.tensor(module)
        flat = (_tokens(shape), shape[-1]) if layer.op == "linear" else tuple(shape)
        key = "|".join(
            (
                f"{layer.op} {piece.parts[0].options.get('stride')}",
                f"{piece.parts[0].options.get('pad')}",
                "x".join(map(str, layer.shape)),
                f"density {bucket(density_of(weight)):.4f}",
                f"input {'x'.join(map(str, flat))}",
                f"threads {torch.get_num_threads()}",
            )
        )
        known = self.timings.get(key, ("dense", *kinds))
        if known is not None:
            return known
        x = torch.randn(flat, generator=torch.Generator())
        calls: dict[str, Callable[[], object]] = {"dense": _dense(piece, module, x)}
        for kind in kinds:
            chain = alone(piece, module, len(flat), kind)
            plan = Plan(join([recipe.section(module) for recipe in chain.recipes]), chain.program)
            calls[kind] = _call(plan, x)
        seconds = self.stopwatch.compare(calls)
        self.timings.put(key, seconds)
        return seconds

    def variants(
        self,
        scripts: Mapping[str, tuple[Script, Sequence[Chain]]],
        module: nn.Module,
        shapes: Sequence[int | tuple[int, ...]],
        densities: Sequence[float],
    ) -> Seconds:
        """Seconds of several ways to compute the same part of a module.

        Args:
            scripts: By name: the code and the chains that it calls.
            module: Holds the parameters.
            shapes: Of the inputs; an input that is a size is told by itself.
            densities: Of the weights, in a fixed order; they belong to what is remembered.
        """
        told = [f"{torch.get_num_threads()} {[round(bucket(d), 4) for d in densities]} {shapes}"]
        told += [
            f"{name} {script} {[(c.program, [r.precision for r in c.recipes]) for c in chains]}"
            for name, (script, chains) in scripts.items()
        ]
        key = f"region {hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:32]}"
        known = self.timings.get(key, tuple(scripts))
        if known is not None:
            return known
        draw = torch.Generator()
        inputs = [s if isinstance(s, int) else torch.randn(s, generator=draw) for s in shapes]
        calls = {}
        for name, (script, chains) in scripts.items():
            plans = [self.ready(chain, module).plan for chain in chains]
            run = compiled(script, module, _runner(plans))
            calls[name] = _call_script(run, module, inputs)
        seconds = self.stopwatch.compare(calls)
        self.timings.put(key, seconds)
        return seconds


def _tokens(shape: Sequence[int]) -> int:
    tokens = 1
    for side in shape[:-1]:
        tokens *= side
    return tokens


def _call(plan: Plan, x: Tensor) -> Callable[[], object]:
    return lambda: plan.run(x)


def _call_script(
    run: Callable[..., Any], module: nn.Module, inputs: Sequence[int | Tensor]
) -> Callable[[], object]:
    return lambda: run(module, *inputs)


def _runner(plans: Sequence[Plan]) -> Callable[[Any, int, list[Any]], list[Any]]:
    return lambda _module, number, inputs: plans[number].run(*inputs)


def _dense(piece: Piece, module: nn.Module, x: Tensor) -> Callable[[], object]:
    """The layer in torch."""
    layer, options = piece.layer, piece.parts[0].options
    if layer is None:
        raise ValueError("only a layer has a time")
    weight = layer.source.tensor(module)
    recipe = options["b"].recipe
    bias = None if recipe is None else recipe.sources[0].tensor(module)
    if layer.op == "conv":
        stride, pad = options["stride"], options["pad"]
        return lambda: functional.conv2d(x, weight, bias, stride, pad)
    if layer.turned:
        zero = weight.new_zeros(weight.shape[1]) if bias is None else bias
        return lambda: torch.addmm(zero, x, weight)
    return lambda: functional.linear(x, weight, bias)
