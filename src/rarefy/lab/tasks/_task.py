"""A task: a network, its data, a training loop and a score."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rarefy.errors import ScheduleError, TargetError
from rarefy.lab._one_thread import one_thread
from rarefy.lab.tasks._data import Data
from rarefy.metrics import undisturbed
from rarefy.selection import generator_for
from rarefy.training import Sparsifier

Attach = Callable[..., Sparsifier | None]
"""``attach(optimizer, steps=n)``: makes the model sparse from here on, or leaves it dense."""

_MOMENTUM = 0.9
_WARM_UP = 0.05
"""Share of the steps over which the learning rate rises to its peak."""
_RECORDS = 200
"""Times that the loss is logged in a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A multilayer perceptron on real data; ready for any method, and the same for all of them.

    Network, data order and learning rate follow from the seed alone, so methods can be compared
    sample by sample. The global random state is neither read nor changed.
    """

    name: str
    description: str
    data: Data
    hidden: tuple[int, ...]
    """Neurons of each hidden layer at width 1."""
    epochs: int
    """Passes over the data where the caller names none."""
    batch: int
    """Samples per step."""
    rate: float
    """Peak of the learning rate: a short warm-up, then a cosine down to zero."""
    decay: float
    """Weight decay."""

    def build(self, width: float = 1.0, seed: int = 0) -> nn.Module:
        """A fresh network with weights drawn from ``seed``.

        Args:
            width: Multiplies the hidden layers, each rounded to at least one neuron.
            seed: For the weights: torch's default law for linear layers, drawn by our own
                generator.

        Raises:
            TargetError: ``width`` is not positive.
        """
        if not 0 < width < math.inf:
            raise TargetError(f"width multiplies the hidden layers, so it is > 0; found {width!r}.")
        hidden = [max(1, round(side * width)) for side in self.hidden]
        sides = [self.data.inputs.shape[1], *hidden, self.data.classes]
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(itertools.pairwise(sides)):
            layers += [_linear(inputs, outputs, f"{place}", seed), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def steps(self, epochs: int | None = None) -> int:
        """Optimizer steps that ``epochs`` passes take; a last, smaller batch is left out.

        Raises:
            ScheduleError: ``epochs`` is below 1.
        """
        if epochs is not None and epochs < 1:
            raise ScheduleError(f"epochs is the number of passes over the data; found {epochs!r}.")
        return self._steps_an_epoch() * (self.epochs if epochs is None else epochs)

    def train(
        self,
        model: nn.Module,
        attach: Attach,
        start: int = 0,
        *,
        epochs: int | None = None,
        seed: int = 0,
    ) -> None:
        """Train ``model`` in place by SGD with Nesterov momentum, on one thread.

        Args:
            model: As made by :meth:`build`, or any other that takes these inputs; on any device.
            attach: Called once as ``attach(optimizer, steps=n)`` before the first step; what it
                returns, a Sparsifier or None, is told the loss through ``log``.
            start: Step to go on from: data order and learning rate are those of an uninterrupted
                run.
            epochs: Passes over the data.
            seed: For the order of the data.

        Raises:
            ScheduleError: ``epochs`` is below 1, or ``start`` beyond the run.
        """
        steps = self.steps(epochs)
        if not 0 <= start <= steps:
            raise ScheduleError(f"start={start} is outside this run, which has {steps} steps.")
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=self.rate,
            momentum=_MOMENTUM,
            nesterov=True,
            weight_decay=self.decay,
        )
        sparsifier = attach(optimizer, steps=steps)
        model.train()
        order = torch.empty(0)
        with one_thread():
            for step in range(start, steps):
                epoch, place = divmod(step, self._steps_an_epoch())
                if place == 0 or step == start:
                    order = self._order(epoch, seed)
                for group in optimizer.param_groups:
                    group["lr"] = self.rate * _share_of_rate(step, steps)
                chosen = order[place * self.batch : (place + 1) * self.batch]
                optimizer.zero_grad()
                loss = self._loss(model, chosen)
                loss.backward()
                if sparsifier is not None and step % max(1, steps // _RECORDS) == 0:
                    sparsifier.log(loss=loss.detach())
                optimizer.step()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """``accuracy``, a share, and ``loss``, the mean cross-entropy, on the test samples."""
        device = _device(model)
        with undisturbed(model), torch.no_grad():
            outputs = model(self.data.test_inputs.to(device)).cpu()
        right = (outputs.argmax(1) == self.data.test_targets).float().mean()
        loss = functional.cross_entropy(outputs, self.data.test_targets)
        return {"accuracy": float(right), "loss": float(loss)}

    def example(self, batch: int = 1) -> Tensor:
        """The first ``batch`` test samples, for FLOPs and latency."""
        return self.data.test_inputs[:batch]

    def batches(self, count: int = 8) -> list[tuple[Tensor, Tensor]]:
        """The first ``count`` batches of the first epoch at seed 0, for scores that need data."""
        order = self._order(0, 0)[: count * self.batch]
        return [
            (self.data.inputs[part], self.data.targets[part]) for part in order.split(self.batch)
        ]

    def _steps_an_epoch(self) -> int:
        return max(1, len(self.data.targets) // self.batch)

    def _order(self, epoch: int, seed: int) -> Tensor:
        generator = generator_for(seed, epoch, self.name, "order")
        return torch.randperm(len(self.data.targets), generator=generator)

    def _loss(self, model: nn.Module, chosen: Tensor) -> Tensor:
        device = _device(model)
        outputs = model(self.data.inputs[chosen].to(device))
        return functional.cross_entropy(outputs, self.data.targets[chosen].to(device))


def _share_of_rate(step: int, steps: int) -> float:
    """The learning rate of the step after ``step`` steps, as a share of its peak."""
    warm = max(1.0, _WARM_UP * steps)
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _linear(inputs: int, outputs: int, name: str, seed: int) -> nn.Linear:
    layer: Any = torch.nn.utils.skip_init(nn.Linear, inputs, outputs)
    generator = generator_for(seed, 0, name, "build")
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    linear: nn.Linear = layer
    return linear


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
