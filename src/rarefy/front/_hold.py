"""``rarefy.hold``: keep the zeros that are there, or masks of your own, through training."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rarefy import methods
from rarefy.errors import TargetError
from rarefy.front._sparsify import plain_of, refuse_odd, refuse_second
from rarefy.front._storage import check_words, refuse_unfit, twins_for
from rarefy.masks import MaskSet
from rarefy.targets import Target, find, names_of, stored, weight_of
from rarefy.training import CompressedSparsifier, Plan, Sparsifier, check_optimizers


def hold(
    model: nn.Module,
    *,
    optimizer: Any = None,  # noqa: ANN401 - an optimizer, several, or a wrapper of one
    masks: Mapping[str, Tensor] | None = None,
    storage: str = "masked",
    slack: float = 0.0,
) -> Sparsifier:
    """Keep removed weights at zero through training; nothing else is chosen.

    A model with compressed layers is taken as it is: what lives in them is trained, and weights
    beside them that are dense are no concern of this Sparsifier.

    Args:
        model: With zeros in it already, or with ``masks``.
        optimizer: As for :func:`rarefy.sparsify`; it can be attached later.
        masks: Bool by parameter name, True = kept; these weights are held and no others. Without
            it every weight that can be sparsified keeps the zeros that it has now.
        storage: ``"masked"`` or ``"compressed"``; as for :func:`rarefy.sparsify`.
        slack: Slots in reserve in each compressed weight, as a share of those that live.

    Raises:
        TargetError: A mask for a weight that the model does not have, or of another shape.
        AttachError: A Sparsifier drives the model already.
    """
    plain = plain_of(model)
    refuse_second(plain)
    check_words(storage, slack, fully_sparse=False)
    plan = Plan(method=replace(methods.one_shot(), name="hold"), sparsity=None)
    if stored(plain):
        return _hold_compressed(plain, plan, optimizer, masks)
    targets = find(plain) if masks is None else _named(plain, masks)
    weights = {name: weight_of(plain, name) for name in targets}
    refuse_odd(weights)
    if optimizer is not None:
        check_optimizers(optimizer, weights)
    kept = (
        {name: weight.detach() != 0 for name, weight in weights.items()}
        if masks is None
        else {name: _fitting(masks, target, weights[name]) for name, target in targets.items()}
    )
    twins = twins_for(model)
    if storage == "compressed":
        refuse_unfit(plain, targets, plan, twins, optimizer)
    sparsifier = Sparsifier(plain, targets, MaskSet(kept), plan)
    sparsifier.compressing = twins
    if optimizer is not None:
        sparsifier.attach(optimizer)
    return sparsifier if storage == "masked" else sparsifier.compress(slack)


def _hold_compressed(
    plain: nn.Module,
    plan: Plan,
    optimizer: Any,  # noqa: ANN401 - as for hold()
    masks: Mapping[str, Tensor] | None,
) -> Sparsifier:
    layers = stored(plain)
    if masks is not None:
        raise TargetError(
            f"masks= beside a model whose weights are compressed ({', '.join(layers)}): what lives "
            "in them is all there is. Leave masks= out."
        )
    targets = find(plain, only=list(layers))
    if optimizer is not None:
        check_optimizers(optimizer, {name: layers[name].weight_values for name in targets})
    sparsifier = CompressedSparsifier(plain, targets, plan)
    if optimizer is not None:
        sparsifier.attach(optimizer)
    return sparsifier


def _named(model: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, Target]:
    known = sorted(name for names in names_of(model).values() for name in names)
    for name in masks:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TargetError(
                f"masks: the model has no parameter {name!r}.{hint} Are they of another model? "
                f"It has: {', '.join(known)}."
            )
    return find(model, only=list(masks))


def _fitting(masks: Mapping[str, Tensor], target: Target, weight: Tensor) -> Tensor:
    given = {alias: masks[alias] for alias in target.aliases if alias in masks}
    for alias, mask in given.items():
        if not isinstance(mask, Tensor):
            found = type(mask).__name__
        elif mask.dtype != torch.bool or mask.shape != weight.shape:
            found = f"{mask.dtype} of shape {tuple(mask.shape)}"
        else:
            continue
        raise TargetError(
            f"masks[{alias!r}] is {found}; wanted a tensor of torch.bool and shape "
            f"{tuple(weight.shape)}, True where the weight is kept."
        )
    first, *others = given.values()
    if any(not torch.equal(first, mask.to(first.device)) for mask in others):
        raise TargetError(
            f"{', '.join(given)} are one tied weight, but their masks differ. Give one of them."
        )
    return first.to(weight.device)
