"""torch itself, in three ways: eager, with sparse CSR weights, with int8 or bfloat16 weights."""

import copy
from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor, nn

from rarefy.errors import TargetError
from rarefy.lab.speed._prepared import Prepared, bytes_of, hushed, tensors_of
from rarefy.metrics import Example, run


def eager(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """The module as it is; in bfloat16 its copy, in int8 as ``quantize_dynamic`` makes it.

    Input and output are float32 in each case.
    """
    del threads  # of the whole process; whoever calls has set them
    if precision == "bfloat16":
        half = copy.deepcopy(model).to(torch.bfloat16)
        parts = tensors_of(example)

        def call() -> Tensor:
            cast = (x.to(torch.bfloat16) if x.is_floating_point() else x for x in parts)
            found: Tensor = half(*cast)
            return found.float()

        return Prepared(call, bytes_of(half))
    if precision == "int8":
        quantized = _quantized(model)
        return Prepared(lambda: run(quantized, example), note="Linear only; the rest is float32")
    return Prepared(lambda: run(model, example), bytes_of(model))


def _quantized(model: nn.Module) -> nn.Module:
    # Imported by name: torch deprecates the way, which is still the one that torch has built in.
    with hushed():
        ao = import_module("torch.ao.quantization")
        made: nn.Module = ao.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    return made


def csr(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """Chains of Linear and ReLU with weights in torch's CSR.

    Raises:
        TargetError: The network is something else, which torch has no CSR for.
    """
    del threads, precision
    steps: list[Callable[[Tensor], Tensor]] = []
    size = 0
    with hushed():
        for layer in chain_of(model, "torch's CSR"):
            if isinstance(layer, nn.Linear):
                weight = layer.weight.detach().to_sparse_csr()
                size += 12 * weight.values().numel() + 8 * weight.crow_indices().numel()
                steps.append(_multiplied(weight, layer.bias))
            else:
                steps.append(torch.relu)
    (first,) = tensors_of(example)

    def call() -> Tensor:
        # Features first: that is how the product of a sparse matrix wants it, and gives it.
        x = first.t()
        for step in steps:
            x = step(x)
        return x.t().contiguous()

    return Prepared(call, size)


def _multiplied(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    if bias is None:
        return lambda x: weight @ x
    column = bias.detach()[:, None]
    return lambda x: (weight @ x).add_(column)


def chain_of(model: nn.Module, who: str) -> list[nn.Module]:
    """The Linear and ReLU layers of a chain.

    Args:
        model: A Linear, or a Sequential of Linear and ReLU.
        who: What wants it, for the message.

    Raises:
        TargetError: It is something else.
    """
    layers = list(model) if isinstance(model, nn.Sequential) else [model]
    odd = [layer for layer in layers if not isinstance(layer, nn.Linear | nn.ReLU)]
    if odd:
        raise TargetError(f"{who} runs chains of Linear and ReLU; found {type(odd[0]).__name__}.")
    return layers
