"""The loss of one batch, where the user gives none."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from rarefy._types import Batch, Batches
from rarefy.errors import EvidenceError

_WAY_OUT = "Pass loss=lambda model, batch: ... that gives the scalar mean loss of the batch."


def mean_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Scalar mean loss over ``batch``.

    ``output.loss`` (or ``output["loss"]``) where the output has one; cross-entropy for integer
    targets; mean squared error for floating targets shaped like the output.

    Args:
        model: Is called with the batch's inputs.
        batch: A tuple whose last entry is the target, or a mapping passed as keywords.

    Raises:
        EvidenceError: No loss follows from the batch; the line to write is shown.
    """
    output, target = _run(model, batch)
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(own, Tensor):
        return own
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise EvidenceError(
            f"no loss follows from an output of type {type(output).__name__} and a target of type "
            f"{type(target).__name__}. {_WAY_OUT}"
        )
    if not target.is_floating_point() and output.shape[:1] + output.shape[2:] == target.shape:
        return functional.cross_entropy(output, target.long())
    if target.is_floating_point() and target.shape == output.shape:
        return functional.mse_loss(output, target)
    raise EvidenceError(
        f"no loss follows from an output of shape {tuple(output.shape)} and a target of shape "
        f"{tuple(target.shape)} and {target.dtype}: wanted whole numbers, one for each row of "
        f"(rows, classes), or floating ones shaped like the output. {_WAY_OUT}"
    )


def _run(model: nn.Module, batch: Batch) -> tuple[object, object]:
    if isinstance(batch, Mapping):
        return model(**batch), None
    if isinstance(batch, Tensor):
        return model(batch), None
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        *inputs, target = batch
        return model(*inputs), target
    raise EvidenceError(
        "a batch is a tensor, a tuple whose last entry is the target, or a mapping passed as "
        f"keywords; found {type(batch).__name__}. {_WAY_OUT}"
    )


def check_batches(data: Batches) -> None:
    """Refuse what cannot be read twice.

    Raises:
        EvidenceError: ``data`` is a one-pass iterator, or no collection of batches at all.
    """
    if isinstance(data, torch.Tensor | Mapping) or not hasattr(data, "__iter__"):
        raise EvidenceError(
            f"data is a list of batches or a DataLoader; found {type(data).__name__}. "
            "For a single batch write data=[batch]."
        )
    if isinstance(data, Iterator):
        raise EvidenceError(
            "data can be read only once (an iterator or generator), and rarefy may read it again. "
            "Pass a list, or the DataLoader itself."
        )
