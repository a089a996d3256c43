"""The user's own functions, named on the command line as ``package.module:function``."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rarefy import lab
from rarefy.errors import UnknownName


def own_setup(
    given: Mapping[str, str | None],
    method: str,
    sparsity: float | str,
    *,
    seed: int,
    words: Mapping[str, Any],
    storage: str = "masked",
) -> lab.Setup:
    """The run of the user's own functions.

    Args:
        given: ``model`` and ``train``, and where given ``evaluate`` and ``batches``, each
            ``package.module:function``.
        method: As for ``rarefy.sparsify``, or ``dense``.
        sparsity: As for ``rarefy.sparsify``.
        seed: Given to ``torch.manual_seed`` before the model is built.
        words: More arguments of ``rarefy.sparsify``.
        storage: As for ``rarefy.sparsify``.

    Raises:
        UnknownName: A module or a function is not there.
    """
    found = {word: function(text, f"--{word}") for word, text in given.items() if text is not None}
    return lab.Setup(
        task=str(given["model"]),
        build=partial(_built, found["model"], seed),
        train=found["train"],
        evaluate=found.get("evaluate"),
        method=method,
        sparsity=sparsity,
        storage=storage,
        words=words,
        data=found.get("batches"),
        seed=seed,
    )


def function(text: str, option: str) -> Callable[..., Any]:
    """The function that ``text`` names; the current folder is looked in first.

    Raises:
        UnknownName: There is no such module, or nothing to call by that name in it.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not module_name or not name:
        raise UnknownName(
            f"{option} {text!r} is not written package.module:function, as in mine:build."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not _exists(module_name):
        raise UnknownName(
            f"{option} {text!r}: there is no module {module_name!r}, neither in {here} nor "
            "installed."
        )
    module = importlib.import_module(module_name)
    found = getattr(module, name, None)
    if not callable(found):
        known = [each for each in vars(module) if callable(getattr(module, each))]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"{option} {text!r}: {module_name} has no function {name!r}.{hint}")
    called: Callable[..., Any] = found
    return called


def _exists(module_name: str) -> bool:
    try:
        return importlib.util.find_spec(module_name) is not None
    except ModuleNotFoundError:  # the package that it should be in
        return False


def _built(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = build()
    if not isinstance(model, nn.Module):
        raise UnknownName(
            f"--model gave {type(model).__name__}, no torch.nn.Module. Let it return the model."
        )
    return model
