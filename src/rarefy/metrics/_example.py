"""Runs a model on an example: a tensor, a tuple of arguments, or a mapping of keywords."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Example = Any
"""A tensor, a tuple of positional arguments, or a mapping of keyword arguments."""


def run(model: nn.Module, example: Example) -> Any:  # noqa: ANN401 - whatever the model gives
    """The model's output for ``example``.

    Args:
        model: Called as it is; its mode and autograd are the caller's business.
        example: A tensor, a tuple or list of positional arguments, or a mapping of keyword
            arguments.
    """
    if isinstance(example, Mapping):
        return model(**example)
    if isinstance(example, tuple | list):
        return model(*example)
    return model(example)


def batch_of(example: Example) -> int | None:
    """First side of the first tensor in ``example``, or None where there is no such side."""
    if isinstance(example, Tensor):
        return example.shape[0] if example.dim() else None
    if isinstance(example, Mapping):
        return batch_of(tuple(example.values()))
    if isinstance(example, tuple | list):
        return next((batch for part in example if (batch := batch_of(part)) is not None), None)
    return None
