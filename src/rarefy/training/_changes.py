"""How masks change while a model trains: pruning along a ramp, and exchanging dead for living."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rarefy._types import NamedTensors
from rarefy.errors import ScoreError
from rarefy.growth import Growth, exchange, redistribute
from rarefy.schedules import decayed
from rarefy.selection import choose, count_of, generator_for, score_of
from rarefy.targets import Target
from rarefy.training._method import Plan

_SNFS_FULL = 0.99  # share of the free places that newcomers may fill, as in the reference
_SNFS_DENSE = 0.2  # weights less sparse than this exchange no more than their sparsity


@dataclass(frozen=True, slots=True)
class _Side:
    """One weight at an exchange, in units."""

    kept: Tensor
    dropped: Tensor

    @property
    def survivors(self) -> int:
        return int(self.kept.sum()) - int(self.dropped.sum())


def removes(plan: Plan, masks: NamedTensors, sparsity: float) -> bool | None:
    """Whether ``sparsity`` removes units that live; None where it would bring some back."""
    units = [plan.method.pattern.unit_scores(mask.float()) > 0 for mask in masks.values()]
    living = sum(int(each.sum()) for each in units)
    kept = count_of(sparsity, sum(each.numel() for each in units))
    return None if kept > living else kept < living


def pruned(
    plan: Plan,
    targets: Mapping[str, Target],
    evidence: Mapping[str, NamedTensors],
    masks: NamedTensors,
    sparsity: float,
    step: int,
) -> dict[str, Tensor]:
    """Masks, in the matrix view, of ``sparsity`` among what lives now."""
    return choose(
        evidence,
        shapes={name: target.sides for name, target in targets.items()},
        sparsity=sparsity,
        score=plan.method.score,
        pattern=plan.method.pattern,
        allocation=plan.method.allocation,
        minimum=plan.minimum,
        seed=plan.seed,
        step=step,
        among=masks,
    )


def exchanged(
    plan: Plan,
    evidence: Mapping[str, NamedTensors],
    masks: NamedTensors,
    step: int,
) -> dict[str, Tensor]:
    """Masks, in the matrix view, after one exchange; none where its share rounds to nothing.

    Args:
        plan: Pattern, score, growth and trigger.
        evidence: In the matrix view; what score and growth need.
        masks: In the matrix view; what lives now.
        step: Optimizer steps so far.

    Raises:
        ScoreError: A score is not finite; the weight is named.
    """
    growth, pattern = plan.method.growth, plan.method.pattern
    share = share_of(plan, step)
    sides = {n: _side(plan, n, evidence, mask, share, step) for n, mask in masks.items()}
    removed = sum(int(side.dropped.sum()) for side in sides.values())
    if not removed:
        return {}
    totals = _totals(growth, sides, evidence, removed)
    changed = {}
    for name, side in sides.items():
        survivors = pattern.expand(side.kept & ~side.dropped, tuple(masks[name].shape))
        known = {**evidence, "living": {name: survivors}}
        scores = pattern.unit_scores(_arrival_scores(plan, name, known, step))

        def pick(units: Tensor, count: int, name: str = name) -> Tensor:
            return pattern.choose(units, count, name=name)

        kept = exchange(side.kept, side.dropped, scores, totals[name], choose=pick)
        changed[name] = pattern.expand(kept, tuple(masks[name].shape))
    return changed


def share_of(plan: Plan, step: int) -> float:
    """Share of the living units that is exchanged after ``step`` steps."""
    growth, until = plan.method.growth, plan.trigger.until if plan.trigger else 0
    if growth.decay == "constant":
        return growth.share
    return decayed(growth.share, step, until, final=growth.final)


def _side(
    plan: Plan,
    name: str,
    evidence: Mapping[str, NamedTensors],
    mask: Tensor,
    share: float,
    step: int,
) -> _Side:
    growth, pattern = plan.method.growth, plan.method.pattern
    kept = pattern.unit_scores(mask.float()) > 0
    living = int(kept.sum())
    if growth.redistributes:
        sparsity = 1 - living / kept.numel()
        share = min(share, sparsity) if sparsity < _SNFS_DENSE else share
    scores = score_of(
        name, evidence, plan.method.score, lambda: generator_for(plan.seed, step, name, "drop")
    )
    sign = pattern.unit_scores(evidence["weight"][name]).sign()
    # RigL's reference rounds the number that goes down, SNFS's rounds it up; but no weight may be
    # emptied where what goes can return in another one.
    count = int(share * living)
    if growth.redistributes:
        count = min(math.ceil(share * living), max(living - plan.minimum, 0))
    dropped = growth.drop(pattern.unit_scores(finite(name, scores)), sign, kept, count)
    return _Side(kept, dropped)


def _totals(
    growth: Growth,
    sides: Mapping[str, _Side],
    evidence: Mapping[str, NamedTensors],
    removed: int,
) -> dict[str, int]:
    if not growth.redistributes:
        return {name: int(side.kept.sum()) for name, side in sides.items()}
    worth = {name: _worth(evidence["momentum"][name], side) for name, side in sides.items()}
    free = {}
    for name, side in sides.items():
        places = side.kept.numel() - side.survivors
        free[name] = max(int(_SNFS_FULL * places), int(side.dropped.sum()))
    newcomers = redistribute(removed, worth, free)
    return {name: side.survivors + newcomers[name] for name, side in sides.items()}


def _worth(momentum: Tensor, side: _Side) -> float:
    # Units are elements here: redistribution is defined for single weights, and the methods that
    # use it say so.
    living = momentum.reshape(side.kept.shape)[side.kept]
    return float(living.abs().double().mean()) if living.numel() else 0.0


def _arrival_scores(
    plan: Plan, name: str, evidence: Mapping[str, NamedTensors], step: int
) -> Tensor:
    arrivals = plan.method.growth.arrivals
    if arrivals is None:
        return torch.zeros_like(evidence["weight"][name])
    made = score_of(
        name, evidence, arrivals, lambda: generator_for(plan.seed, step, name, "growth")
    )
    return finite(name, made)


def finite(name: str, scores: Tensor) -> Tensor:
    """``scores``, if each of them is finite.

    Raises:
        ScoreError: One is not.
    """
    # Where a sum is finite all of it is; a sum is the fastest look, and may overflow.
    if not scores.sum().isfinite() and not scores.isfinite().all():
        raise ScoreError(
            f"{name} has scores that are not finite, so nothing can be ranked. Either its weights "
            "or gradients have diverged (lower the learning rate, or clip gradients), or a score "
            "of your own divides by zero. Masks are unchanged."
        )
    return scores
