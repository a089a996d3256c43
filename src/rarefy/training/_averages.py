"""A running average of dense gradients: the momentum that growth looks at."""

import torch
from torch import Tensor

from rarefy._types import NamedTensors
from rarefy.communication import mean_over_ranks_, world_size

_HALF = (torch.float16, torch.bfloat16)


class Averages:
    """Exponential averages of the gradients that arrive, dead weights included.

    Ours, not the optimizer's: the optimizer sees only what lives. A gradient is collected as it
    arrives and folded in when the optimizer's step really happens. With a GradScaler whose
    optimizer is not fused, gradients arrive scaled; growth ranks within a weight and by shares
    between weights, which a scale does not change. (Where the scale itself changes, gradients from
    before the change weigh more or less until the average has forgotten them.)

    Averages of half-precision weights are float32: a tenth of a new gradient would often be lost
    in sixteen bits.
    """

    def __init__(self, beta: float) -> None:
        self.beta = beta
        self.values: dict[str, Tensor] = {}
        self._arrived: dict[str, Tensor] = {}

    def collect(self, name: str, gradient: Tensor, held: Tensor | None) -> None:
        """Take in one backward pass's gradient.

        Args:
            name: Whose it is.
            gradient: Dense.
            held: What ``.grad`` holds from earlier micro-batches; None or all zero where the
                gradient is the first of its step, whatever came for a step that never happened.
        """
        gradient = gradient.detach()
        if name in self._arrived and held is not None and held.any():
            self._arrived[name] += gradient
        else:
            self._arrived[name] = gradient.clone()

    def fold(self, scale: float) -> None:
        """The step happened: average in what arrived, divided by ``scale``."""
        for name, gradient in self._arrived.items():
            # A backward pass that overflowed was skipped by the GradScaler and never counted.
            if not gradient.isfinite().all():
                continue
            if gradient.dtype in _HALF:
                gradient = gradient.float()
            gradient = gradient.div(scale) if scale != 1 else gradient
            # The model may have been moved, or made more precise, since the last step.
            known = self.values.get(name)
            value = torch.zeros_like(gradient) if known is None else known.to(gradient)
            self.values[name] = value.lerp_(gradient, 1 - self.beta)
        self._arrived = {}

    def forget(self) -> None:
        """The step did not happen: what arrived for it is not averaged in."""
        self._arrived = {}

    def agree(self, like: NamedTensors) -> None:
        """Replace each average by its mean over ranks: the average of the mean gradient.

        Args:
            like: The weights, where they are now. Every rank goes through them in this order, also
                through one for which it has seen no gradient yet.
        """
        for name, weight in like.items():
            if name in self.values:
                self.values[name] = self.values[name].to(weight.device)
            elif world_size() > 1:
                wide = torch.float32 if weight.dtype in _HALF else weight.dtype
                self.values[name] = torch.zeros_like(weight, dtype=wide)
            else:
                continue
            mean_over_ranks_(self.values[name])
