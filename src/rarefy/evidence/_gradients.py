"""The mean gradient of the loss with respect to chosen weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from rarefy._types import Batch, Batches, Loss
from rarefy.errors import EvidenceError
from rarefy.evidence._loss import check_batches, mean_loss


def gradients(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    data: Batches,
    loss: Loss | None = None,
) -> dict[str, Tensor]:
    """dL/dw by name, shaped like the weights, the mean over batches (of this rank).

    The model is in evaluation mode meanwhile, so that dropout is off and BatchNorm keeps its
    statistics; afterwards every module is as it was. ``.grad`` is neither read nor written, and
    the global random state is put back: a DataLoader draws from it.

    Args:
        model: Any; moved nowhere. Batches are moved to the device of the weights.
        weights: The parameters, by name.
        data: Batches that can be read more than once.
        loss: Model and batch to the scalar mean; :func:`mean_loss` where there is none.

    Raises:
        EvidenceError: There is no batch, or a weight has no part in the loss.
    """
    check_batches(data)
    measure = loss or mean_loss
    sums = {name: torch.zeros_like(weight, dtype=_wide(weight)) for name, weight in weights.items()}
    batches = 0
    device = next(iter(weights.values())).device
    with _evaluating(model, device), _tracking(weights), _undrawn(device), torch.enable_grad():
        for batch in data:
            value = measure(model, _placed(batch, device))
            _refuse_odd(value)
            parts = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
            for name, part in zip(weights, parts, strict=True):
                if part is None:
                    raise EvidenceError(
                        f"{name} has no part in the loss, so it has no gradient. "
                        f"Leave it out with skip=[{name!r}], or pass a loss= that uses it."
                    )
                sums[name] += part
            batches += 1
    if not batches:
        raise EvidenceError("data holds no batch: pass at least one.")
    for total in sums.values():
        total.div_(batches)
    return {name: total.to(weights[name].dtype) for name, total in sums.items()}


def _wide(weight: Tensor) -> torch.dtype:
    return torch.float32 if weight.dtype in (torch.float16, torch.bfloat16) else weight.dtype


def _refuse_odd(value: object) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise EvidenceError(f"a loss gives one number, the mean over the batch; found {found}.")
    if not value.requires_grad:
        raise EvidenceError(
            "the loss does not follow from the weights (it was detached, computed without "
            "gradients, or is a constant), so it has no gradient. Pass a loss= that does."
        )


@contextmanager
def _evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    # cuDNN has no backward pass for a recurrent layer in evaluation mode; torch's own has.
    recurrent = device.type == "cuda" and any(isinstance(m, nn.RNNBase) for m, _ in before)
    try:
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _tracking(weights: Mapping[str, nn.Parameter]) -> Iterator[None]:
    # A frozen weight can still be scored: it is tracked for the time of the passes only.
    frozen = [weight for weight in weights.values() if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


@contextmanager
def _undrawn(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _placed(batch: Batch, device: torch.device) -> Any:  # noqa: ANN401 - as the user gave it
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _placed(entry, device) for key, entry in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(_placed(entry, device) for entry in batch)
    return batch
