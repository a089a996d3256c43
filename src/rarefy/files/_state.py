"""A model's state as a file holds it: plain names, plain tensors, tied ones together."""

from collections.abc import Collection, Mapping
from os import PathLike

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from rarefy.errors import FileError, TargetError
from rarefy.files._dtypes import name_of
from rarefy.files._header import MASK, VALUES
from rarefy.targets import plain_name, unwrap


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Every entry of the model's ``state_dict()`` by its plain name, checked to be storable.

    Raises:
        FileError: One is no dense tensor with values; it is named.
    """
    state = {plain_name(key): value for key, value in unwrap(model).state_dict().items()}
    for key, value in state.items():
        _refuse_odd(key, value)
    return state


def ordinary(state: Mapping[str, Tensor], layers: Collection[str]) -> dict[str, Tensor]:
    """The same entries under the names that a dense model has for them.

    The values of a compressed weight stand in for it, under its own name; its topology is no entry.

    Args:
        state: By plain name.
        layers: Ordinary names of the compressed weights.
    """
    values = {f"{name}_values": name for name in layers}
    topologies = {f"{name}_topology" for name in layers}
    return {values.get(k, k): tensor for k, tensor in state.items() if k not in topologies}


def refuse_swapped(call: str, *, path: object, model: object) -> None:
    """Raise where the arguments of ``call`` are not a path and a model.

    Raises:
        TargetError: One is not; where they stand in the other order, it says so.
    """
    found = isinstance(path, str | PathLike), isinstance(model, nn.Module)
    if all(found):
        return
    swapped = isinstance(path, nn.Module) and isinstance(model, str | PathLike)
    raise TargetError(
        f"rarefy.{call} takes a str or pathlib.Path as path and a torch.nn.Module as model; found "
        f"{type(path).__name__} as path and {type(model).__name__} as model."
        + (" Swap the two." if swapped else "")
    )


def groups_of(state: Mapping[str, Tensor]) -> list[tuple[str, ...]]:
    """The names of each tensor, tied ones together, in the order of ``state``."""
    groups: dict[object, list[str]] = {}
    for key, tensor in state.items():
        where = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        # Empty tensors have no memory that could be shared.
        groups.setdefault(where if tensor.numel() else key, []).append(key)
    return [tuple(names) for names in groups.values()]


def _refuse_odd(key: str, value: object) -> None:
    why = _what_is_odd(value)
    if why is not None:
        raise FileError(f"{key} {why}. Nothing was written or changed.")
    if isinstance(value, Tensor):
        name_of(value.dtype, key)
    if key.endswith((MASK, VALUES)) or key == "__metadata__":
        raise FileError(
            f"the name {key!r} is reserved for the file's own use. Rename that part of the model."
        )


def _what_is_odd(value: object) -> str | None:
    if not isinstance(value, Tensor):
        return (
            f"is {type(value).__name__}, no tensor: a file holds tensors only, never pickled "
            "objects. Let get_extra_state() return a tensor, or keep that state elsewhere"
        )
    if hasattr(value, "device_mesh"):
        return "is a DTensor, spread over ranks: gather the full state_dict first"
    if isinstance(value, FakeTensor):
        return "is a FakeTensor, without values: build the model outside FakeTensorMode"
    if value.device.type == "meta":
        return "is on the meta device, without values: give it some first (to_empty, then load)"
    if value.layout != torch.strided or value.is_quantized:
        return "is not a plain dense tensor (sparse layout or quantised): give the dense model"
    return None
