"""What a runtime hands back: a call to be timed, and what is to be known about it."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rarefy.errors import TargetError
from rarefy.metrics import Example


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network, made ready by one runtime for one example."""

    call: Callable[[], Any]
    """Runs it once, from the example as it lies in torch to the output."""
    bytes: int | None = None
    """Of the weights as the runtime holds them, where it tells."""
    note: str = ""
    """What is to be said about it."""
    holds: tuple[Any, ...] = ()
    """What must stay alive for as long as ``call`` may be made."""


def tensors_of(example: Example) -> tuple[Tensor, ...]:
    """The tensors of an example that is a tensor or a tuple of them, in order.

    Raises:
        TargetError: It is something else.
    """
    parts = (example,) if isinstance(example, Tensor) else example
    if isinstance(parts, tuple | list) and all(isinstance(part, Tensor) for part in parts):
        return tuple(parts)
    raise TargetError(
        f"a runtime other than torch takes a tensor or a tuple of tensors as example; found "
        f"{type(example).__name__}. Wrap the model in one that takes them in order."
    )


def arrays_of(example: Example) -> list[np.ndarray[Any, Any]]:
    """The same as numpy arrays that share their memory."""
    return [part.contiguous().numpy() for part in tensors_of(example)]


def off_by(found: Any, reference: Any) -> float:  # noqa: ANN401 - what a runtime gives
    """Largest difference over the largest value of the reference; infinite where shapes differ.

    Of an output with several parts, the first is looked at.
    """
    ours, theirs = _array(found), _array(reference)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    if not theirs.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-30))


def _array(output: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - what a runtime gives
    while isinstance(output, tuple | list):
        output = output[0]
    if isinstance(output, Tensor):
        output = output.detach().float().cpu().numpy()
    return np.asarray(output, dtype=np.float32)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Nothing is printed, logged or warned inside; runtimes are talkative where they are built."""
    before = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def bytes_of(model: torch.nn.Module) -> int:
    """Of all parameters and buffers of a torch module."""
    held = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)
