"""Weights that are not there as a matrix: layers that hold the living values alone."""

from typing import Any

from torch import nn

from rarefy.targets._model import plain_name, unwrap

OWN = "weight"
"""What a compressed layer's weight is called among its module's parameters when it is dense."""


def is_stored(module: nn.Module) -> bool:
    """Whether a module has what a compressed weight is driven by, whatever its class is."""
    return isinstance(module._parameters.get(f"{OWN}_values"), nn.Parameter) and callable(
        getattr(module, f"{OWN}_shape", None)
    )


def stored_shape(module: nn.Module) -> tuple[int, ...] | None:
    """Shape of the dense weight of a compressed layer; None of any other module."""
    layer: Any = module
    return tuple(layer.weight_shape()) if is_stored(module) else None


def stored(model: nn.Module) -> dict[str, Any]:
    """Every compressed layer by the ordinary name of its weight, under each of its names."""
    found = {}
    for path, module in unwrap(model).named_modules(remove_duplicate=False):
        if is_stored(module):
            found[plain_name(f"{path}.{OWN}" if path else OWN)] = module
    return found


def stored_of(model: nn.Module, name: str) -> Any:  # noqa: ANN401 - a masks.Storage, a neighbour's
    """The compressed layer whose weight is called ``name``; None where there is none."""
    module = unwrap(model)
    *path, last = name.split(".")
    for part in path:
        child = module._modules.get(part)
        if child is None:
            return None
        module = unwrap(child)
    return module if last == OWN and is_stored(module) else None
