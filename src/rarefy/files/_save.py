"""``rarefy.save``: a model's state, small where it is sparse."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rarefy.errors import FileError, TargetError
from rarefy.files._state import groups_of, ordinary, refuse_swapped, state_of
from rarefy.files._tensors import Source
from rarefy.files._write import write_sparse
from rarefy.targets import stored, unwrap
from rarefy.training import masks_of, sparsifier_of


def save(model: nn.Module, path: str | Path, choices: Mapping[str, Any] | None = None) -> None:
    """Write the model's state to ``path`` as safetensors, atomically.

    Each sparse weight is stored as a packed mask and the kept values where that is smaller, dense
    where it is not; everything else of ``state_dict()`` as it is. A mask is packed as one bit a
    weight, or, from some 62 % sparsity on, as the gaps between kept weights, whichever is smaller
    for it. The mask is the Sparsifier's: while one drives the model, a kept weight that happens to
    be 0.0 stays a kept one. Without a Sparsifier every zero counts as removed. A removed -0.0
    comes back as 0.0.
    Names are those of the plain model. Tied weights are stored once. ``docs/format.md`` has the
    format and a reader of twenty lines.

    Args:
        model: Wrapped or plain. With several processes, call it on one of them.
        path: Usually ``*.safetensors``. A file that is there is replaced, whole or not at all.
        choices: How an accelerated model ran, as plain data; :func:`rarefy.save` sees to it.

    Raises:
        FileError: Something in the state is no plain tensor, or ``path`` cannot be written.
        InvariantError: A removed weight is not zero.
        TargetError: ``model`` is no model or ``path`` no path, as where they are swapped.
    """
    refuse_swapped("save(model, path)", path=path, model=model)
    plain = unwrap(model)
    sparsifier = sparsifier_of(plain)
    layers = stored(plain)
    state = ordinary(state_of(plain), layers)
    masks = _masks(plain, state)
    sources = {}
    for names in groups_of(state):
        if names[0] in layers:
            sources[names[0]] = _compressed(layers[names[0]], names[1:])
            continue
        # A mask is known by the name that its Sparsifier uses, whichever of the tied ones that is.
        key = next((name for name in names if name in masks), names[0])
        others = tuple(name for name in names if name != key)
        sources[key] = _source(state[key], masks.get(key), others)
    write_sparse(Path(path), sources, sparsifier.method if sparsifier else None, choices=choices)


def _source(tensor: Tensor, mask: Tensor | None, aliases: tuple[str, ...]) -> Source:
    return Source(lambda: tensor, lambda: mask, aliases)


def _compressed(layer: Any, aliases: tuple[str, ...]) -> Source:  # noqa: ANN401 - masks.Storage
    """A weight of which there are only values: dense while it is written, and no longer."""
    return Source(layer.dense_weight, layer.mask, aliases)


def _masks(plain: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    driven = sparsifier_of(plain) is not None
    if driven and getattr(sparsifier_of(plain), "storage", None) == "compressed":
        return {}  # its layers are their own masks
    try:
        masks = dict(masks_of(plain))
    except TargetError:
        if driven:
            raise
        # Without a Sparsifier a mask says no more than the zeros do, and they are stored anyway.
        return {}
    missing = sorted(set(masks) - set(state))
    if missing and driven:
        raise FileError(
            f"the Sparsifier holds {', '.join(missing)}, but the model's state_dict() has no such "
            "entry: a layer was replaced or a hook renames it. Nothing was written."
        )
    return {name: mask for name, mask in masks.items() if name in state}
