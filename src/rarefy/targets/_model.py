"""The plain model under its wrappers, and its weights by name."""

from torch import nn

from rarefy.errors import TargetError

_WRAPPED = "_orig_mod"


def unwrap(model: nn.Module) -> nn.Module:
    """The user's own module, without torch.compile, DataParallel and DistributedDataParallel."""
    while True:
        if isinstance(inner := getattr(model, _WRAPPED, None), nn.Module):
            model = inner
        elif isinstance(
            model, nn.DataParallel | nn.parallel.DistributedDataParallel
        ) and isinstance(model.module, nn.Module):
            model = model.module
        else:
            return model


def plain_name(name: str) -> str:
    """``name`` without the parts that torch.compile puts in."""
    return ".".join(part for part in name.split(".") if part != _WRAPPED)


def names_of(model: nn.Module) -> dict[int, tuple[str, ...]]:
    """Every plain name of every parameter, by the parameter's ``id``; tied ones have several."""
    names: dict[int, list[str]] = {}
    for name, parameter in unwrap(model).named_parameters(remove_duplicate=False):
        known = names.setdefault(id(parameter), [])
        if plain_name(name) not in known:
            known.append(plain_name(name))
    return {key: tuple(known) for key, known in names.items()}


def weight_of(model: nn.Module, name: str) -> nn.Parameter:
    """The parameter called ``name`` now: looked up each time, so that a swapped one is found.

    Raises:
        TargetError: The model has no such parameter any more.
    """
    module = unwrap(model)
    *path, last = name.split(".")
    for part in path:
        child = module._modules.get(part)
        if child is None:
            raise _missing(name)
        module = unwrap(child)
    parameter = module._parameters.get(last)
    if parameter is None:
        raise _missing(name)
    return parameter


def _missing(name: str) -> TargetError:
    return TargetError(
        f"the model has no parameter {name!r} any more. A layer was replaced, removed or wrapped: "
        "detach() the Sparsifier and call rarefy.hold() on the model as it is now."
    )
