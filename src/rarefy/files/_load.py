"""``rarefy.load``: a file into a model, checked whole before anything is touched."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rarefy.errors import FileError
from rarefy.files._container import reading
from rarefy.files._dtypes import DTYPES, words_of
from rarefy.files._header import Record
from rarefy.files._json import brief
from rarefy.files._read import header_of
from rarefy.files._state import groups_of, refuse_swapped, state_of
from rarefy.files._tensors import restore
from rarefy.targets import plain_name, unwrap
from rarefy.training import Sparsifier, sparsifier_of

Model = TypeVar("Model", bound=nn.Module)


def load(path: str | Path, model: Model) -> Model:
    """Load the file at ``path`` into ``model``, in place, and return the model.

    The model is an ordinary dense one afterwards, whose removed weights are 0.0. Every name,
    shape and dtype must be the model's own, and every checksum right, before the first value is
    copied. Any safetensors file will do. A tied weight is found by any of its names.

    The masks are in :func:`rarefy.files.read_masks`; to train on with the zeros held, pass them
    to ``rarefy.hold(model, optimizer=optimizer, masks=...)``.

    Args:
        path: Written by :func:`save` or by any other program.
        model: Wrapped or plain; on any device. If a Sparsifier drives it, its masks must be
            those of the file.

    Raises:
        FileError: The file cannot be read, is damaged, or is of another model. Nothing is changed.
        TargetError: ``path`` is no path or ``model`` no model, as where they are swapped.
    """
    refuse_swapped("load(path, model)", path=path, model=model)
    plain = unwrap(model)
    state = state_of(plain)
    groups = groups_of(state)
    tensors: dict[str, Tensor] = {}
    masks: dict[str, Tensor] = {}
    with reading(Path(path)) as container:
        records = header_of(container.metadata, container.layout()).records
        holders = _holders(records, groups)
        _refuse_other_shapes(records, holders, state)
        for key, record in records.items():
            tensors[key], mask = restore(container.tensor, key, record)
            if mask is not None:
                masks[key] = mask
        chosen = {names: _one_of(tensors, holders[names], names) for names in groups}
        _refuse_other_masks(sparsifier_of(plain), holders, tensors, masks)
    _refuse_unwritable(state)
    by_name = {name: tensors[key] for names, key in chosen.items() for name in names}
    with torch.no_grad():
        plain.load_state_dict({key: by_name[plain_name(key)] for key in plain.state_dict()})
    return model


Names = tuple[str, ...]


def _holders(records: Mapping[str, Record], groups: Sequence[Names]) -> dict[Names, list[str]]:
    """For each tensor of the model the tensors of the file that have one of its names."""
    known = {name: key for key, record in records.items() for name in (key, *record.aliases)}
    holders = {
        names: list(dict.fromkeys(known[name] for name in names if name in known))
        for names in groups
    }
    missing = [names[0] for names, keys in holders.items() if not keys]
    used = {key for keys in holders.values() for key in keys}
    unexpected = [key for key in records if key not in used]
    if missing or unexpected:
        raise FileError(
            f"it is of another model. {_listed('The model has, and the file has not', missing)}"
            f"{_listed('The file has, and the model has not', unexpected)}"
            f"{_nearest(missing, unexpected)}Build the model as it was when the file was written."
        )
    return holders


def _refuse_other_shapes(
    records: Mapping[str, Record],
    holders: Mapping[Names, Sequence[str]],
    state: Mapping[str, Tensor],
) -> None:
    odd = []
    for names, keys in holders.items():
        tensor = state[names[0]]
        for key in keys:
            found = (DTYPES[records[key].dtype], records[key].shape)
            if found != (tensor.dtype, tuple(tensor.shape)):
                odd.append(
                    f"{names[0]} is {tensor.dtype} of shape {tuple(tensor.shape)} in the model, "
                    f"{found[0]} of shape {found[1]} in the file"
                )
    if odd:
        more = f"; and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise FileError(
            f"it is of another model: {'; '.join(odd[:3])}{more}. Build the model as it was when "
            "the file was written, or turn its dtype first, as in model.half()."
        )


def _one_of(tensors: Mapping[str, Tensor], keys: Sequence[str], names: Names) -> str:
    first, *others = keys
    for other in others:
        if not np.array_equal(words_of(tensors[first]), words_of(tensors[other])):
            raise FileError(
                f"it has different values for {brief(first)} and {brief(other)}, which are one "
                f"tied tensor in the model ({', '.join(names)}). Untie them, then load."
            )
    return first


def _refuse_other_masks(
    sparsifier: Sparsifier | None,
    holders: Mapping[Names, Sequence[str]],
    tensors: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
) -> None:
    if sparsifier is None:
        return
    key_of = {name: keys[0] for names, keys in holders.items() for name in names}
    odd = []
    for name, mask in sparsifier.masks.items():
        key, mine = key_of[name], mask.cpu()
        if key in masks:
            fits = torch.equal(masks[key], mine)
        else:  # a file without a mask for it: no value may be where one is removed
            fits = not (tensors[key][~mine] != 0).any()
        if not fits:
            odd.append(name)
    if odd:
        raise FileError(
            f"a Sparsifier drives the model, and its masks are not those of the file: "
            f"{_few(odd)}. Call sparsifier.detach(), load, then go on with rarefy.hold(model, "
            "optimizer=optimizer, masks=rarefy.files.read_masks(path))."
        )


def _refuse_unwritable(state: Mapping[str, Tensor]) -> None:
    for key, tensor in state.items():
        shared = any(
            stride == 0 and side > 1
            for stride, side in zip(tensor.stride(), tensor.shape, strict=True)
        )
        if shared or tensor.is_inference():
            raise FileError(
                f"{key} of the model cannot be written into: it is "
                f"{'expanded, its elements share memory' if shared else 'an inference tensor'}. "
                "Make it a tensor of its own with .clone(). Nothing was changed."
            )


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}: {_few(names)}. " if names else ""


def _few(names: Sequence[str]) -> str:
    more = f", and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(brief(name) for name in names[:5]) + more


def _nearest(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    for name in missing[:1]:
        near = difflib.get_close_matches(name, unexpected[:1000], n=1, cutoff=0.8)
        if near:
            return f"Perhaps {brief(near[0])} is what the model calls {name}. "
    return ""
