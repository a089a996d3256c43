"""From a masked model to a compressed one: layers and parameters swapped, the Sparsifier too."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy.errors import AttachError
from rarefy.masks import Storage
from rarefy.targets import unwrap
from rarefy.training import _checks
from rarefy.training._commit import Move, commit
from rarefy.training._compressed import CompressedSparsifier
from rarefy.training._refusals import refuse_dense_start, refuse_layers, refuse_method
from rarefy.training._sparsifier import Sparsifier
from rarefy.training._swap import Gather, refuse_optimizers, replacing


@torch.no_grad()
def compressed(
    masked: Sparsifier, slack: float = 0.0, *, fully_sparse: bool = False
) -> CompressedSparsifier:
    """The Sparsifier that goes on from ``masked`` with the living weights alone.

    Everything is made ready before anything is swapped.

    Raises:
        AttachError: A wrapper or an optimizer is in the way.
        TargetError: A weight cannot be compressed.
        ScheduleError: The ramp has not come to its end.
        EvidenceError: The method needs more than the living weights.
        PatternError: It moves units that cannot be moved.
    """
    model, targets, plan = masked.model, masked.targets, masked.plan
    _checks.driver(model, masked)
    ramp = plan.ramp
    unfinished = ramp is not None and masked.step < ramp.end and masked.sparsity < ramp.final
    refuse_dense_start(masked.method, starts_dense=unfinished)
    refuse_method(plan.method, {name: each.matrix_shape for name, each in targets.items()})
    if masked.compressing is None:
        raise AttachError(
            "this Sparsifier was made without anything that makes compressed layers: make it with "
            "rarefy.sparsify or rarefy.hold."
        )
    layers = refuse_layers(model, targets, masked.compressing)
    optimizers = list(masked._hooks.optimizers) if masked._hooks else []
    weights = masked.weights()
    if optimizers:
        refuse_optimizers(optimizers, weights)
    twins = {
        name: masked.compressing.compressed(layer, masked.masks[name], slack)
        for name, layer in layers.items()
    }
    moves: list[Move] = []
    for name, twin in twins.items():
        moves += _swapping(model, layers[name], twin)
        moves += _training(optimizers, weights[name], cast(Storage, twin))
    masked.detach()
    interrupted = commit(moves)
    successor = _succeed(masked, fully_sparse=fully_sparse)
    if optimizers:
        successor.attach(optimizers)
    if interrupted is not None:
        raise interrupted
    return successor


def _swapping(model: nn.Module, layer: nn.Module, twin: nn.Module) -> list[Move]:
    """What puts the twin wherever the layer stands."""
    moves: list[Move] = []
    for module in unwrap(model).modules():
        for own, child in module._modules.items():
            if child is layer:
                moves.append(_child(module, own, twin))
    return moves


def _child(module: nn.Module, own: str, twin: nn.Module) -> Move:
    def put() -> None:
        module._modules[own] = twin

    return put


def _training(optimizers: list[Optimizer], old: nn.Parameter, storage: Storage) -> list[Move]:
    new, gather = storage.weight_values, _gather(storage)
    if old.grad is not None:
        new.grad = gather(old.grad)
    return [move for each in optimizers for move in replacing(each, old, new, gather)]


def _gather(storage: Storage) -> Gather:
    places, capacity = storage.places(), storage.weight_values.numel()

    def gather(dense: Tensor) -> Tensor:
        values = dense.new_zeros(capacity)
        values[: places.numel()] = dense.reshape(-1)[places]
        return values

    return gather


def _succeed(masked: Sparsifier, *, fully_sparse: bool) -> CompressedSparsifier:
    successor = CompressedSparsifier(
        masked.model, masked.targets, masked.plan, fully_sparse=fully_sparse
    )
    successor.go_on_from(masked)
    return successor
