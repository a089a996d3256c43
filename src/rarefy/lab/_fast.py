"""Times the demonstration's networks on our kernels alone, dense and sparse, side by side."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from rarefy.lab._one_thread import one_thread
from rarefy.lab.speed import plan_of
from rarefy.metrics import Latency, latency

_SECONDS = 1.0
"""Time spent on all networks together."""


def on_kernels(models: Mapping[str, nn.Module], example: Tensor) -> dict[str, Latency]:
    """Each network as one plan in which every weight, however dense, goes through our kernels.

    What the dense one gains over torch is the kernels'; what the others gain over it is the
    zeros'. All are timed in turns, on one thread, called directly and not as a module.

    Args:
        models: Name to a chain of Linear and ReLU.
        example: What each is called with.

    Returns:
        Name to its time; nothing where no compiled kernel runs.
    """
    plans = {name: plan_of(model, example.dim()) for name, model in models.items()}
    if not all(plan.compiled for plan in plans.values()):
        return {}
    calls = {name: partial(plan.run, example) for name, plan in plans.items()}
    with one_thread(), torch.no_grad():
        return latency(calls, _SECONDS, batch=example.shape[0])
