"""``rarefy.save``: a model into a file, with how it runs where it is accelerated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from rarefy.errors import AttachError
from rarefy.targets import unwrap


def save(model: nn.Module, path: str | Path) -> None:
    """Write the model's state to ``path`` as safetensors, atomically.

    Each sparse weight is stored as a packed mask and the kept values where that is smaller, dense
    where it is not; everything else of ``state_dict()`` as it is. A mask is packed as one bit a
    weight, or, from some 62 % sparsity on, as the gaps between kept weights, whichever is smaller
    for it. The mask is the Sparsifier's: while one drives the model, a kept weight that happens to
    be 0.0 stays a kept one. Without a Sparsifier every zero counts as removed. A removed -0.0
    comes back as 0.0. Names are those of the plain model. Tied weights are stored once.
    ``docs/format.md`` has the format and a reader of twenty lines.

    Of an accelerated model the masked weights are stored, and what it chose to run sparse; nothing
    that is packed. :func:`load` packs it again.

    Args:
        model: Wrapped or plain. With several processes, call it on one of them.
        path: Usually ``*.safetensors``. A file that is there is replaced, whole or not at all.

    Raises:
        FileError: Something in the state is no plain tensor, or ``path`` cannot be written.
        InvariantError: A removed weight is not zero.
        TargetError: ``model`` is no model or ``path`` no path, as where they are swapped.
    """
    from rarefy import files  # loaded with the first file, to keep the import fast

    files.save(model, path, choices=_choices_of(model) if seems_accelerated(model) else None)


def seems_accelerated(model: object) -> bool:
    """Whether it has what ``rarefy.accelerate`` gives a model, which others hardly have."""
    if not isinstance(model, nn.Module):
        return False
    plain = unwrap(model)
    return callable(getattr(plain, "explain", None)) and isinstance(
        getattr(plain, "record", None), Mapping
    )


def _choices_of(model: nn.Module) -> Mapping[str, Any] | None:
    from rarefy.acceleration import choices  # whatever was accelerated has loaded it already

    try:
        return choices(unwrap(model))
    except AttachError:  # it only looks like one
        return None
