"""Our own two ways: ``rarefy.accelerate``, and one plan of kernels in which nothing stays dense."""

from typing import Any

from torch import Tensor, nn

from rarefy.errors import TargetError
from rarefy.front import accelerate
from rarefy.kernels import Place, Plan, Section, Step, floats, join, pack, text
from rarefy.lab.speed._prepared import Prepared, bytes_of, tensors_of
from rarefy.metrics import Example, run


def accelerated(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """What ``rarefy.accelerate`` makes of it: what a user gets, layers kept dense among it."""
    del threads  # torch's, which the plans follow
    fast: Any = accelerate(
        model,
        example,
        precision=precision,
        data=None if precision == "float32" else [example],
    )
    layers = fast.explain().to_dict()["layers"]
    kept = sum(bool(row["kept"]) for row in layers)
    return Prepared(
        lambda: run(fast, example), bytes_of(fast), f"{kept} of {len(layers)} weights run sparse"
    )


def planned(model: nn.Module, example: Example, threads: int, precision: str) -> Prepared:
    """What :func:`plan_of` makes of it: the kernels themselves.

    Raises:
        TargetError: The network is more than a chain of Linear, Conv2d and ReLU.
    """
    del threads, precision
    (first,) = tensors_of(example)
    plan = plan_of(model, first.dim())

    def call() -> Tensor:
        (found,) = plan.run(first)
        return found

    note = "" if plan.compiled else "plain torch ran, no compiled kernel; rarefy doctor says why"
    return Prepared(call, plan.packed.numel(), note)


def plan_of(model: nn.Module, sides: int) -> Plan:
    """One plan whose every weight is stored and run as a sparse one, whatever its density.

    Args:
        model: A Linear, a Conv2d, or a Sequential of these and ReLU.
        sides: Number of sides of the input.

    Raises:
        TargetError: The network is something else.
    """
    chain = [Step("input", 0, (), {"rank": sides})]
    sections: list[Section] = []
    for layer in list(model) if isinstance(model, nn.Sequential) else [model]:
        register = chain[-1].out
        chain.append(_step(layer, register + 1, register, sections))
    chain.append(Step("output", -1, (chain[-1].out,)))
    return Plan(join(sections), text(chain))


def _step(layer: nn.Module, out: int, read: int, sections: list[Section]) -> Step:
    """The layer's step; its weight and bias are added to ``sections``."""
    if isinstance(layer, nn.ReLU):
        return Step("relu", out, (read,))
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        raise TargetError(
            f"a plan is made here of Linear, Conv2d and ReLU; found {type(layer).__name__}. "
            "rarefy.accelerate takes any model."
        )
    place = len(sections)
    sections.append(pack(layer.weight.detach()))
    if layer.bias is not None:
        sections.append(floats(layer.bias.detach()))
    options = {
        "w": Place(place, tuple(layer.weight.shape)),
        "b": None if layer.bias is None else place + 1,
    }
    if isinstance(layer, nn.Linear):
        return Step("linear", out, (read,), options)
    return Step("conv", out, (read,), {**options, "stride": layer.stride, "pad": layer.padding})
