"""A copy of the model for inference: first it borrows the weights, at last it owns them."""

import copy

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parameter import UninitializedParameter

from rarefy.acceleration._lean import LeanWeight
from rarefy.errors import TargetError


def copied(model: nn.Module) -> nn.Module:
    """The copy: in evaluation mode, its parameters frozen, without gradients.

    Values, names, ties, attributes and hooks are the model's. The parameters still lie in the
    model's memory, until :func:`own` ends that: a sparse weight needs no dense copy.

    Raises:
        TargetError: It is not on the CPU, has no values, is scripted, or cannot be copied.
    """
    refuse(model)
    memo: dict[int, object] = {}
    with torch.inference_mode(False), torch.no_grad():
        # Given to deepcopy as done already, so that gradients are not copied along.
        for parameter in model.parameters():
            memo[id(parameter)] = _frozen(parameter)
        try:
            fast = copy.deepcopy(model, memo)
        except Exception as error:
            raise TargetError(
                f"{type(model).__name__} cannot be copied ({type(error).__name__}: {error}). "
                "rarefy.accelerate leaves your model as it is and works on a copy: make "
                "copy.deepcopy(model) work, then call it again."
            ) from error
        # Buffers can be inference tensors, which do not tell when they are written to.
        for module in fast.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_inference():
                    module._buffers[name] = buffer.clone()
    return fast.eval()


def _frozen(parameter: nn.Parameter) -> nn.Parameter:
    # An inference tensor would not tell when it is written to.
    values = parameter.detach()
    fresh = nn.Parameter(values.clone() if values.is_inference() else values, requires_grad=False)
    fresh.__dict__.update(parameter.__dict__)
    return fresh


def own(fast: nn.Module) -> None:
    """Give every parameter memory of its own; packed ones have it already."""
    fresh: dict[int, nn.Parameter] = {}
    with torch.inference_mode(False), torch.no_grad():
        for module in fast.modules():
            for name, parameter in module._parameters.items():
                if parameter is None or isinstance(parameter, LeanWeight):
                    continue
                if id(parameter) not in fresh:
                    made = nn.Parameter(parameter.detach().clone(), requires_grad=False)
                    made.__dict__.update(parameter.__dict__)
                    fresh[id(parameter)] = made
                module._parameters[name] = fresh[id(parameter)]


def refuse(model: nn.Module) -> None:
    """Raise where the model cannot be accelerated at all.

    Raises:
        TargetError: As for :func:`copied`.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise TargetError(
            "the model is a ScriptModule, whose layers cannot be exchanged. Give "
            "rarefy.accelerate the Python model that it was made from."
        )
    named = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in named:
        why = _unfit(tensor)
        if why is not None:
            raise TargetError(f"{name} {why} Nothing was changed.")


def _unfit(tensor: Tensor) -> str | None:
    if isinstance(tensor, UninitializedParameter):
        return "has no shape yet (a lazy layer): run one batch through the model first."
    if hasattr(tensor, "device_mesh"):
        return "is a DTensor, spread over ranks: accelerate the plain model of one process."
    if isinstance(tensor, FakeTensor) or tensor.device.type == "meta":
        return "has no values (meta or fake): load some first."
    if tensor.device.type != "cpu":
        return (
            f"is on {tensor.device}; rarefy.accelerate makes models faster on the CPU only. "
            "Move a copy there: rarefy.accelerate(copy.deepcopy(model).cpu(), example)."
        )
    return None
