"""The optimizers under their wrappers, and what they hold of the sparse weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy.errors import AttachError

Optimizers = Optimizer | Sequence[Optimizer]


def opened(optimizer: Optimizers) -> list[Optimizer]:
    """Each optimizer itself, without wrappers that keep it in ``.optimizer`` (HF Accelerate).

    Raises:
        AttachError: Something is no optimizer.
    """
    listed = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    if not listed:
        raise AttachError("optimizer=[] holds no optimizer: pass the one that trains the weights.")
    return list(dict.fromkeys(_inner(each) for each in listed))


def _inner(optimizer: object) -> Optimizer:
    layers = [optimizer]
    while (inner := getattr(layers[-1], "optimizer", None)) is not None and inner not in layers:
        layers.append(inner)
    found = [layer for layer in layers if isinstance(layer, Optimizer)]
    if not found:
        raise AttachError(
            "optimizer= takes a torch.optim.Optimizer, a wrapper that keeps one in .optimizer, or "
            f"a list of them; found {type(optimizer).__name__}."
        )
    return found[-1]


def check_optimizers(optimizer: Optimizers, weights: Mapping[str, nn.Parameter]) -> None:
    """Refuse what cannot be attached, before anything is changed.

    Raises:
        AttachError: No optimizer, or one that does not hold the weights.
    """
    counting(opened(optimizer), weights)


def counting(optimizers: Sequence[Optimizer], weights: Mapping[str, nn.Parameter]) -> Optimizer:
    """The optimizer whose steps are counted: the first that holds a sparse weight.

    Raises:
        AttachError: None holds one, or a weight that is trained is in none of them.
    """
    held = {id(parameter) for each in optimizers for parameter in parameters_of(each)}
    homeless = [
        n for n, weight in weights.items() if weight.requires_grad and id(weight) not in held
    ]
    if len(homeless) == len(weights):
        raise AttachError(
            "the optimizer holds none of the model's sparse weights. It was probably built for "
            "another copy of the model, or before the parameters were replaced: build it from "
            "model.parameters() after that, then attach."
        )
    if homeless:
        raise AttachError(
            f"no optimizer given holds {', '.join(homeless)}. Pass every optimizer that trains a "
            "sparse weight, as optimizer=[first, second], or leave these out with skip=."
        )
    sparse = {id(weight) for weight in weights.values()}
    holders = (e for e in optimizers if any(id(p) in sparse for p in parameters_of(e)))
    # Where every sparse weight is frozen nobody holds one; any optimizer's steps will do.
    return next(holders, optimizers[0])


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """Every parameter of every group."""
    for group in optimizer.param_groups:
        yield from group["params"]


def state_like(optimizer: Optimizer, weight: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's tensors for ``weight`` that have its shape: moments, sums, momenta."""
    for key, value in _leaves("state", optimizer.state.get(weight, {})):
        if value.shape == weight.shape:
            yield key, value


def _leaves(key: str, value: object) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield key, value
    elif isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _leaves(str(inner), each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(key, each)


class OwnCount(NamedTuple):
    """How many steps an optimizer itself says that it has taken for one weight."""

    name: str
    steps: Tensor | float


def own_count(
    optimizer: Optimizer, weights: Mapping[str, nn.Parameter], name: str | None = None
) -> OwnCount | None:
    """The optimizer's own count, for ``name`` or for the first weight that it counts for.

    A copy that stays where it is: nothing waits for a device.
    """
    for key, weight in weights.items():
        state = optimizer.state.get(weight, {})
        if isinstance(state, Mapping) and "step" in state and name in (None, key):
            steps = state["step"]
            return OwnCount(key, steps.clone() if isinstance(steps, Tensor) else float(steps))
    return None


def skips(optimizer: Optimizer) -> bool:
    """Whether this step does nothing: a GradScaler told a fused optimizer of an overflow."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, Tensor) and bool(found.item())


def scale_of(optimizer: Optimizer) -> float:
    """What gradients are multiplied by in the hook: 1, but for fused ones under a GradScaler."""
    scale = getattr(optimizer, "grad_scale", None)
    return float(scale.item()) if isinstance(scale, torch.Tensor) else 1.0
