"""Bytes that training holds: weights, where they stand, gradients, optimizer state."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy.targets import stored, unwrap
from rarefy.training import Sparsifier


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBytes:
    """Bytes of the tensors that a model's training holds between two steps.

    Gradients count as they are after a backward pass, whether or not they are there now. What the
    kernels derive from a topology is no tensor: it is in a process's resident size, not in here.
    """

    weights: int
    """Of all parameters; of a compressed weight the slots, those in reserve too."""
    topology: int
    """Where the living stand: the buffers of compressed layers, or the masks beside dense ones."""
    gradients: int
    state: int
    """Of all tensors in the optimizers' state; nothing before their first step."""
    dense_weights: int
    """The same of the model if every weight were dense, as the next two."""
    dense_gradients: int
    dense_state: int

    @property
    def total(self) -> int:
        """Weights, topology, gradients and state."""
        return self.weights + self.topology + self.gradients + self.state

    @property
    def dense(self) -> int:
        """Weights, gradients and state if every weight were dense."""
        return self.dense_weights + self.dense_gradients + self.dense_state

    @property
    def share(self) -> float:
        """Total over dense."""
        return self.total / self.dense if self.dense else 1.0


def training_bytes(
    subject: nn.Module | Sparsifier, optimizer: Optimizer | Sequence[Optimizer] = ()
) -> TrainingBytes:
    """Count the tensors of a model in training, exactly, each once however often it is tied.

    Args:
        subject: A Sparsifier, whose model and optimizers are looked at, or a model.
        optimizer: What trains the model, where no Sparsifier knows it; one, or several.
    """
    given = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    model = subject.model if isinstance(subject, Sparsifier) else unwrap(subject)
    optimizers = given or list(subject.optimizers if isinstance(subject, Sparsifier) else ())
    layers = {id(layer): layer for layer in stored(model).values()}
    sizes = {id(e.weight_values): math.prod(e.weight_shape()) for e in layers.values()}
    sums = dict.fromkeys(("weights", "gradients", "state"), 0)
    dense = dict.fromkeys(sums, 0)
    for parameter in model.parameters():
        size = sizes.get(id(parameter), parameter.numel())
        whole = size * parameter.element_size()
        for part in ("weights", "gradients") if parameter.requires_grad else ("weights",):
            sums[part] += parameter.nbytes
            dense[part] += whole
        for tensor in _state(optimizers, parameter):
            like = tensor.shape == parameter.shape
            sums["state"] += tensor.nbytes
            dense["state"] += size * tensor.element_size() if like else tensor.nbytes
    topology = sum(layer.weight_topology.nbytes for layer in layers.values())
    if isinstance(subject, Sparsifier) and subject.storage == "masked":
        topology += subject.masks.size  # a byte a weight; compressed storage holds no masks
    return TrainingBytes(
        **sums, topology=topology, **{f"dense_{part}": held for part, held in dense.items()}
    )


def _state(optimizers: list[Any], parameter: nn.Parameter) -> list[Tensor]:
    leaves = [
        leaf
        for each in optimizers
        for leaf in torch.utils._pytree.tree_leaves(each.state.get(parameter, {}))
    ]
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]
