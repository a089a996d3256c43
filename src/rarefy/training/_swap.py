"""An optimizer's parameter replaced by another that holds some of its entries, state and all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from rarefy.errors import AttachError
from rarefy.training._commit import Move
from rarefy.training._optimizers import Optimizers, opened, parameters_of

Gather = Callable[[Tensor], Tensor]
"""A tensor of the weight's shape to its living entries, by slot."""

_WHOLE = frozenset({"LBFGS", "Muon", "Shampoo", "SOAP", "KFAC"})
"""Optimizers that look at a weight, or at all of them, as a matrix or as one vector."""


def refuse_optimizers(optimizer: Optimizers, weights: Mapping[str, nn.Parameter]) -> None:
    """Refuse optimizers that cannot go on with the living entries alone.

    Raises:
        AttachError: One works on whole matrices, or has state that is neither one number nor
            shaped like the weight.
    """
    for each in opened(optimizer):
        held = {id(parameter) for parameter in parameters_of(each)}
        for name, weight in weights.items():
            if id(weight) in held:
                _refuse(name, weight, each)


def _refuse(name: str, weight: nn.Parameter, optimizer: Optimizer) -> None:
    kind = type(optimizer)
    if any(each.__name__ in _WHOLE for each in kind.__mro__):
        raise AttachError(
            f"{kind.__name__} works on whole matrices, and of a compressed weight there are only "
            f"the values: let an element-wise optimizer (AdamW, SGD) train {name}, or leave it out "
            f"with skip=[{name!r}]. Nothing was changed."
        )
    for value in _tensors(optimizer.state.get(weight, {})):
        if value.numel() > 1 and value.shape != weight.shape:
            raise AttachError(
                f"{kind.__name__} keeps a tensor of shape {tuple(value.shape)} for {name}, which "
                f"has shape {tuple(weight.shape)}: it cannot be cut down to the living weights. "
                "Compress before the first step, or choose an optimizer whose state is one number "
                "a weight. Nothing was changed."
            )


def _tensors(value: object) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def replacing(
    optimizer: Optimizer, old: nn.Parameter, new: nn.Parameter, gather: Gather
) -> list[Move]:
    """What makes ``optimizer`` train ``new`` where it trained ``old``, prepared and not done yet.

    Groups and hyper-parameters stay; every tensor of the weight's shape in the state is gathered,
    and the rest (a count of steps) is handed on.
    """
    moves: list[Move] = []
    for group in optimizer.param_groups:
        for place, parameter in enumerate(group["params"]):
            if parameter is old:
                moves.append(_entry(group["params"], place, new))
    if old in optimizer.state:
        state = _gathered(optimizer.state[old], old, gather)
        moves += [_stating(optimizer, new, state), _forgetting(optimizer, old)]
    return moves


def _entry(parameters: list[Tensor], place: int, new: nn.Parameter) -> Move:
    def put() -> None:
        parameters[place] = new

    return put


def _stating(optimizer: Optimizer, new: nn.Parameter, state: object) -> Move:
    def put() -> None:
        optimizer.state[new] = state

    return put


def _forgetting(optimizer: Optimizer, old: nn.Parameter) -> Move:
    def drop() -> None:
        optimizer.state.pop(old, None)

    return drop


def _gathered(value: Any, old: nn.Parameter, gather: Gather) -> Any:  # noqa: ANN401 - any state
    if isinstance(value, Tensor):
        return gather(value) if value.shape == old.shape else value
    if isinstance(value, Mapping):
        return {key: _gathered(each, old, gather) for key, each in value.items()}
    if isinstance(value, list):
        return [_gathered(each, old, gather) for each in value]
    if type(value) is tuple:
        return tuple(_gathered(each, old, gather) for each in value)
    return value
