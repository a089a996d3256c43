"""Lets a model be run without leaving a trace in it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards everything is as it was.

    Put back exactly, also after an error: the training flag of each module, each buffer (the
    tensor itself and its values), and the random state of Python, of torch's CPU generator and of
    the CUDA devices that the model lives on. Parameters and their gradients are not looked after.
    """
    modules = list(model.modules())
    training = [module.training for module in modules]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
    ]
    tensors = [*model.parameters(), *model.buffers()]
    devices = sorted({t.device.index or 0 for t in tensors if t.device.type == "cuda"})
    python = random.getstate()
    with torch.random.fork_rng(devices=devices):
        try:
            model.eval()
            yield
        finally:
            random.setstate(python)
            for module, flag in zip(modules, training, strict=True):
                module.training = flag
            for module, name, buffer, values in buffers:
                _put_back(module, name, buffer, values)


def _put_back(module: nn.Module, name: str, buffer: Tensor | None, values: Tensor | None) -> None:
    # Only what changed is written, so that an untouched buffer keeps its version too.
    if buffer is not None and values is not None and not torch.equal(buffer, values):
        with torch.no_grad():
            buffer.copy_(values)
    if module._buffers.get(name) is not buffer:
        module._buffers[name] = buffer
