"""What must be true of a model, its optimizer and its masks, and the sentence where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from rarefy.errors import AttachError, InvariantError
from rarefy.masks import MaskSet
from rarefy.training._optimizers import OwnCount, own_count, parameters_of, state_like
from rarefy.training._registry import sparsifier_of

if TYPE_CHECKING:
    from rarefy.training._hooks import Hooks
    from rarefy.training._method import Plan
    from rarefy.training._sparsifier import Sparsifier


def driver(model: nn.Module, sparsifier: Sparsifier) -> None:
    """Only one Sparsifier may drive a model."""
    other = sparsifier_of(model)
    if other is not None and other is not sparsifier:
        raise AttachError(
            f"another Sparsifier ({other.method}) drives this model. Call its finalize() or "
            "detach() first."
        )


def zeros(weights: Mapping[str, nn.Parameter], masks: MaskSet) -> None:
    """Every removed weight is exactly zero."""
    for name, weight in weights.items():
        wrong = int((weight.detach() != 0)[masks.removed(name, weight.device)].sum())
        if wrong:
            raise InvariantError(
                f"{name}: {wrong} removed weights are not zero. Something wrote to the weights "
                "beside the attached optimizer: attach(optimizer) the one that trains, or write "
                "through sparsifier.apply_(model)."
            )


def landed(plan: Plan, step: int, sparsity: float) -> None:
    """A ramp has come to its end."""
    if plan.ramp is not None and step < plan.ramp.end and sparsity < plan.ramp.final:
        raise InvariantError(
            f"the ramp ends at step {plan.ramp.end} and only {step} steps were counted: "
            f"{sparsity:.4f} is removed, {plan.ramp.final:g} was asked. Train on, call "
            f"prune({plan.ramp.final:g}), or detach() to leave it so. steps= counts optimizer "
            "steps, not batches."
        )


def written(
    weights: Mapping[str, nn.Parameter], versions: Mapping[str, int], fresh: Mapping[str, int]
) -> None:
    """Nobody trains the weights beside the attached optimizers."""
    for name, weight in weights.items():
        # One fresh gradient may wait for its step. More of them, with the weights written to
        # since our last look, are steps that we did not see.
        if fresh.get(name, 0) > 1 and weight._version != versions.get(name):
            raise AttachError(
                f"{name} was trained through {fresh[name]} backward passes, but no attached "
                "optimizer took a step: a copied or unpickled optimizer has lost its hooks. Call "
                "sparsifier.attach(optimizer) with the one that trains."
            )


def states(hooks: Hooks, weights: Mapping[str, nn.Parameter], masks: MaskSet) -> None:
    """Every state tensor of a weight's shape is zero where the weight is removed."""
    for optimizer in hooks.optimizers:
        for name, weight in weights.items():
            for key, value in state_like(optimizer, weight):
                wrong = int((value != 0)[masks.removed(name, value.device)].sum())
                if wrong:
                    raise InvariantError(
                        f"{name}: {key} of {type(optimizer).__name__} is not zero at {wrong} "
                        "removed weights. A state from before pruning was loaded: it is zeroed "
                        "at the next step, or now by sparsifier.hold()."
                    )


def hooks(hooks: Hooks, weights: Mapping[str, nn.Parameter]) -> None:
    """The optimizers still carry the hooks and hold the model's own parameters."""
    for optimizer in hooks.optimizers:
        if not hooks.on(optimizer):
            raise AttachError(
                f"{type(optimizer).__name__} lost its hooks. Call sparsifier.attach(optimizer)."
            )
    held = {id(p) for optimizer in hooks.optimizers for p in parameters_of(optimizer)}
    lost = [n for n, weight in weights.items() if weight.requires_grad and id(weight) not in held]
    if lost:
        raise AttachError(
            f"no attached optimizer holds {', '.join(lost)} as it is now: the parameter was "
            "replaced, or a copied optimizer trains it. Call sparsifier.attach(optimizer) with "
            "the one that does."
        )


def steps(hooks: Hooks, weights: Mapping[str, nn.Parameter], seen: OwnCount | None) -> None:
    """The optimizer has taken no step since the last one that was counted."""
    if seen is None:
        return
    own = own_count(hooks.counted, weights, seen.name)
    taken, counted = (0.0 if own is None else float(own.steps)), float(seen.steps)
    if taken != counted:
        raise AttachError(
            f"{type(hooks.counted).__name__} has taken {taken:g} steps for {seen.name}, but "
            f"{counted:g} at the last one that was counted. It stepped without its hooks (a "
            "copied or unpickled optimizer has lost them), or its state was loaded without the "
            "Sparsifier's. Call sparsifier.attach(optimizer) with the one that trains, or load "
            "both states."
        )


def loaded(weights: Mapping[str, nn.Parameter], masks: MaskSet, nonzero: Mapping[str, int]) -> None:
    """The weights are those that were saved with the masks."""
    for name, wanted in nonzero.items():
        living = weights[name].detach() != 0
        found = int(living.sum())
        wrong = int(living[masks.removed(name, living.device)].sum())
        if found != wanted or wrong:
            raise InvariantError(
                f"{name} has {found} nonzero weights, {wrong} of them removed by the loaded "
                f"masks; the state was saved with {wanted} and 0. The model's weights were loaded "
                "before rarefy.sparsify, which zeroed some of them, or not at all: call sparsify "
                "first, then load the model, the optimizer and the Sparsifier."
            )
