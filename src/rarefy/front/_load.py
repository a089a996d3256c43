"""``rarefy.load``: a file into a model, made to run as the one that was saved."""

from pathlib import Path
from typing import TypeVar, cast

from torch import nn

from rarefy.front._save import seems_accelerated

Model = TypeVar("Model", bound=nn.Module)


def load(path: str | Path, model: Model) -> Model:
    """Load the file at ``path`` into ``model``, in place, and return the model.

    The model is an ordinary dense one afterwards, whose removed weights are 0.0. Every name,
    shape and dtype must be the model's own, and every checksum right, before the first value is
    copied. Any safetensors file will do. A tied weight is found by any of its names.

    Where the file holds an accelerated model, ``model`` gets its masked weights all the same; what
    is returned is an accelerated copy of it, packed for this machine, that runs sparse what the
    saved one ran sparse. An accelerated ``model`` keeps its own choices and is packed anew.

    The masks are in :func:`rarefy.files.read_masks`; to train on with the zeros held, pass them
    to ``rarefy.hold(model, optimizer=optimizer, masks=...)``.

    Args:
        path: Written by :func:`save` or by any other program.
        model: Wrapped or plain; on any device. If a Sparsifier drives it, its masks must be
            those of the file.

    Raises:
        FileError: The file cannot be read, is damaged, or is of another model. Nothing is changed,
            unless it is the choices that do not fit: then the weights are loaded.
        TargetError: ``path`` is no path or ``model`` no model, as where they are swapped.
    """
    from rarefy import files  # loaded with the first file, to keep the import fast

    files.load(path, model)
    choices = files.read(path).choices
    if choices is None or seems_accelerated(model):
        return model
    from rarefy.acceleration import apply_choices  # takes a while, and few files need it

    return cast(Model, apply_choices(model, choices))
