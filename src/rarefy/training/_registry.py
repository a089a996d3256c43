"""Which Sparsifier drives a model: a weak table, so that the model itself stays plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from rarefy.masks import MaskSet, Storage
from rarefy.targets import find, stored_of, unwrap, weight_of

if TYPE_CHECKING:
    from rarefy.training._sparsifier import Sparsifier

_DRIVEN: WeakKeyDictionary[nn.Module, Sparsifier] = WeakKeyDictionary()


def sparsifier_of(model: nn.Module) -> Sparsifier | None:
    """The Sparsifier of ``model``, wrapped or plain; None where there is none."""
    return _DRIVEN.get(unwrap(model))


def enter(model: nn.Module, sparsifier: Sparsifier) -> None:
    """From now on ``sparsifier`` drives ``model``."""
    _DRIVEN[model] = sparsifier


def leave(model: nn.Module, sparsifier: Sparsifier) -> None:
    """``sparsifier`` no longer drives ``model``."""
    if _DRIVEN.get(model) is sparsifier:
        del _DRIVEN[model]


def masks_of(model: nn.Module) -> MaskSet:
    """Which weights of ``model`` are kept.

    While a Sparsifier drives the model its masks are the truth; otherwise, and on a copy, a zero
    is a removed weight (of a compressed one, what has no slot), for every weight that
    :func:`rarefy.targets.find` finds.

    Raises:
        TargetError: The model has no weight to sparsify.
    """
    sparsifier = sparsifier_of(model)
    if sparsifier is not None:
        return sparsifier.masks
    return MaskSet({name: _mask_of(model, name) for name in find(model)})


def _mask_of(model: nn.Module, name: str) -> Tensor:
    layer = stored_of(model, name)
    if layer is not None:
        return cast(Storage, layer).mask()
    return weight_of(model, name).detach() != 0
