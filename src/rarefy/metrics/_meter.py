"""The meter: time by part, bytes and updates of a training loop, while it is switched on."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from rarefy.errors import AttachError
from rarefy.metrics._parts import PARTS, Parts
from rarefy.metrics._resident import peak_resident, reset_peak, resident
from rarefy.metrics._training_bytes import TrainingBytes, training_bytes
from rarefy.targets import unwrap
from rarefy.training import Sparsifier

_WINDOWS = 50
"""Most points of the curves."""
_OF_A_STEP = ("before", "hold", "after", "clear_gradients")
"""What the hooks call of a Sparsifier at every step."""
_UPDATE = "_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the meter has seen. Seconds are medians with quartiles: lower, median, upper."""

    steps: int
    threads: int
    """Of torch, at the end."""
    whole: tuple[float, float, float]
    """Seconds of a step, from the end of the one before it."""
    parts: dict[str, tuple[float, float, float]]
    """Seconds of a step by part: ``forward``, ``backward``, ``optimizer``; ``holding``, what the
    Sparsifier does at every step (zeros, counting); ``other``: data, the loss, clearing gradients.
    What never happened is left out; a topology update is in ``updates``."""
    updates: tuple[float, float, float] | None
    """Seconds of a topology update, over those steps that had one; None without one."""
    update_count: int
    curve: tuple[dict[str, float], ...]
    """Mean seconds by part over at most 50 windows of the run, each with its last ``step``."""
    bytes: TrainingBytes
    peak_resident: int | None
    """Most bytes of the process: weights, gradients, optimizer state, activations, what kernels
    derive, and all else in it; None where the system does not tell."""
    resident_before: int | None
    """Bytes of the process when the meter was switched on."""
    whole_process: bool
    """Whether the peak is that of the process since its beginning, not of these steps."""

    @property
    def update_in_steps(self) -> float | None:
        """Median update in units of the median step."""
        return self.updates[1] / self.whole[1] if self.updates and self.whole[1] else None


class TrainingMeter:
    """A context around a training loop; outside it nothing is hooked, so nothing is slower.

    The backward pass is timed from when the gradient arrives at the model's output to its end; the
    loss itself counts as other. A forward pass counts where gradients are recorded.
    """

    def __init__(
        self,
        subject: nn.Module | Sparsifier,
        optimizer: Optimizer | Sequence[Optimizer] = (),
    ) -> None:
        """Nothing is measured before the context is entered.

        Args:
            subject: A Sparsifier with its optimizers, or any model with ``optimizer``.
            optimizer: What trains the model; a step ends with the last one's.

        Raises:
            AttachError: No optimizer is known.
        """
        self._subject = subject
        self._sparsifier = subject if isinstance(subject, Sparsifier) else None
        self._model = subject.model if isinstance(subject, Sparsifier) else unwrap(subject)
        known = self._sparsifier.optimizers if self._sparsifier else ()
        given = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        self._optimizers: list[Any] = given or list(known)
        if not self._optimizers:
            raise AttachError(
                "the meter counts an optimizer's steps and knows none: attach the Sparsifier "
                "first, or TrainingMeter(model, optimizer)."
            )
        self._parts = Parts()
        self._handles: list[RemovableHandle] = []
        self._wrapped: list[str] = []
        self._updated: list[int] = []
        self._before: int | None = None
        self._whole_process = True
        self._found: Metered | None = None

    def __enter__(self) -> Self:
        self._whole_process = not reset_peak()
        self._before = resident()
        self._parts, self._updated, self._found = Parts(), [], None
        self._handles += [
            self._model.register_forward_pre_hook(self._forward_begins),
            self._model.register_forward_hook(self._forward_ends),
        ]
        for each in self._optimizers:
            # After the Sparsifier's own hooks, which are parts of their own within this one.
            self._handles += [
                each.register_step_pre_hook(self._step_begins),
                each.register_step_post_hook(self._step_ends),
            ]
        for name in (*_OF_A_STEP, _UPDATE) if self._sparsifier else ():
            self._wrap(name)
        self._parts.restart()
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        for name in self._wrapped:
            delattr(self._sparsifier, name)
        self._handles, self._wrapped = [], []
        if self._parts.seconds["other"]:
            self._found = self._summed()

    @property
    def found(self) -> Metered | None:
        """What was seen; None before the context is left, and where no step was taken."""
        return self._found

    def pause(self) -> None:
        """Leave out what happened since the last step, such as an evaluation."""
        self._parts.restart()

    def _wrap(self, name: str) -> None:
        call = getattr(self._sparsifier, name)
        timed = self._updating(call) if name == _UPDATE else self._holding(call)
        setattr(self._sparsifier, name, timed)
        self._wrapped.append(name)

    def _holding(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:  # noqa: ANN401 - as the method
            with self._parts.within("holding"):
                return call(*args)

        return timed

    def _updating(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:  # noqa: ANN401 - as the method
            with self._parts.within("update"):
                changed = call(*args)
            if changed:
                self._updated.append(len(self._parts.seconds["update"]))
            return changed

        return timed

    def _forward_begins(self, model: nn.Module, _: object) -> None:
        if model.training and torch.is_grad_enabled():
            self._parts.enter("forward")

    def _forward_ends(self, model: nn.Module, _: object, output: object) -> None:
        del model
        self._parts.leave("forward")
        begun = False

        def arrived(gradient: Tensor) -> None:
            nonlocal begun
            del gradient
            if not begun:
                begun = True
                self._parts.enter("backward")
                engine: Any = Variable._execution_engine
                engine.queue_callback(lambda: self._parts.leave("backward"))

        for leaf in torch.utils._pytree.tree_leaves(output):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                with suppress(RuntimeError):
                    leaf.register_hook(arrived)

    def _step_begins(self, *_: object) -> None:
        self._parts.enter("optimizer")

    def _step_ends(self, optimizer: Optimizer, *_: object) -> None:
        self._parts.leave("optimizer")
        if optimizer is self._optimizers[-1]:
            self._parts.end_step()

    def _summed(self) -> Metered:
        seconds = self._parts.seconds
        steps = len(seconds["other"])
        wholes = [sum(seconds[part][at] for part in PARTS) for at in range(steps)]
        updates = [seconds["update"][at] for at in self._updated if at < steps]
        return Metered(
            steps=steps,
            threads=torch.get_num_threads(),
            whole=_spread(wholes),
            parts={p: _spread(seconds[p]) for p in PARTS if p != "update" and any(seconds[p])},
            updates=_spread(updates) if updates else None,
            update_count=len(updates),
            curve=_windows(seconds, steps),
            bytes=training_bytes(self._subject, self._optimizers),
            peak_resident=peak_resident(),
            resident_before=self._before,
            whole_process=self._whole_process,
        )


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, median, upper


def _windows(seconds: dict[str, Any], steps: int) -> tuple[dict[str, float], ...]:
    apart = max(1, -(-steps // _WINDOWS))
    windows = []
    for first in range(0, steps, apart):
        last = min(first + apart, steps)
        means = {part: statistics.fmean(seconds[part][first:last]) for part in PARTS}
        windows.append({"step": float(last), **means})
    return tuple(windows)
