"""Weights of low precision: asked for by name, with data, and told what they cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from rarefy.acceleration._install import dense
from rarefy.errors import EvidenceError, UnknownName
from rarefy.metrics import run

PRECISIONS = ("float32", "int8", "bfloat16")
_BATCHES = 8


def check_precision(precision: str, data: Iterable[Any] | None) -> None:
    """Raise unless the precision is known here and what it needs is there.

    Raises:
        UnknownName: No such precision.
        EvidenceError: Low precision without data to measure its cost on.
    """
    if precision not in PRECISIONS:
        raise UnknownName(
            f"precision={precision!r} is none that is known. Use one of {', '.join(PRECISIONS)}."
        )
    if precision == "float32":
        return
    if data is None:
        raise EvidenceError(
            f"precision={precision!r} rounds the weights, and what that costs is measured: pass "
            "data=, a few batches such as the model is called with."
        )
    if iter(data) is data:
        raise EvidenceError(
            "data= can be read only once (an iterator). Pass a list of batches or a DataLoader."
        )


def accuracy(fast: nn.Module, data: Iterable[Any]) -> dict[str, float]:
    """What low precision costs on up to 8 batches, against the same model on its own weights.

    Returns:
        ``relative_error``: norm of the difference over norm of the output, over all batches;
        ``largest_error``: the largest of a batch; ``same_choice``: share of positions whose
        largest output is at the same place, for outputs of two sides or more; ``batches``.
    """
    errors, norms, worst, same, count, batches = 0.0, 0.0, 0.0, 0, 0, 0
    with torch.no_grad():
        for batch in itertools.islice(data, _BATCHES):
            ours = _tensors(answer(fast, batch))
            with dense(fast):
                theirs = _tensors(answer(fast, batch))
            batches += 1
            for one, other in zip(ours, theirs, strict=True):
                error, norm = float((one - other).norm()), float(other.norm())
                errors, norms = errors + error**2, norms + norm**2
                worst = max(worst, error / norm if norm else error)
            one, other = ours[0], theirs[0]
            if one.dim() >= 2:
                same += int((one.argmax(-1) == other.argmax(-1)).sum())
                count += one[..., 0].numel()
    if not batches:
        raise EvidenceError("data= holds no batch. Pass a few, such as the model is called with.")
    found = {
        "relative_error": (errors / norms) ** 0.5 if norms else errors**0.5,
        "largest_error": worst,
        "batches": float(batches),
    }
    return {**found, "same_choice": same / count} if count else found


def answer(fast: nn.Module, batch: Any) -> object:  # noqa: ANN401 - any batch
    """What the model gives for the inputs of a batch."""
    # A batch of a training set ends with its target, which is no argument of the model.
    if isinstance(batch, Mapping):
        return run(fast, {key: value for key, value in batch.items() if key != "labels"})
    if isinstance(batch, tuple | list) and len(batch) > 1:
        return run(fast, tuple(batch[:-1]))
    return run(fast, batch)


def _tensors(output: object) -> list[Tensor]:
    found = [
        leaf
        for leaf in _pytree.tree_leaves(output)
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    ]
    if not found:
        raise EvidenceError("the model's output has no float tensor to measure the cost on.")
    return found
