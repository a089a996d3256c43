"""A Sparsifier's state as plain data, and back, refused whole where it does not fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rarefy.communication import world_size
from rarefy.errors import FileError, StateError
from rarefy.formats import pack_bits, unpack_bits
from rarefy.training._method import Plan

if TYPE_CHECKING:
    from rarefy.training._sparsifier import Sparsifier

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a state holds, checked."""

    masks: dict[str, Tensor]
    step: int
    plan: Plan
    history: list[Mapping[str, float]]
    nonzero: dict[str, int]
    averages: dict[str, Tensor]
    spreads: dict[str, float]


def pack(sparsifier: Sparsifier, averages: Mapping[str, Tensor]) -> dict[str, Any]:
    """The state as numbers, text, lists and tensors."""
    weights = sparsifier.weights()
    return {
        "format": FORMAT,
        "plan": sparsifier.plan.fingerprint(),
        "seed": sparsifier.plan.seed,
        "step": sparsifier.step,
        "masks": {
            name: {"shape": list(mask.shape), "bits": pack_bits(mask)}
            for name, mask in sparsifier.masks.items()
        },
        "nonzero": {name: int((w.detach() != 0).sum()) for name, w in weights.items()},
        "averages": {name: value.clone() for name, value in averages.items()},
        "spreads": dict(sparsifier.spreads),
        "rank": _rank(),
        "history": [dict(record) for record in sparsifier.history],
    }


def unpack(sparsifier: Sparsifier, state: Mapping[str, Any]) -> Unpacked:
    """The state, checked against the Sparsifier that is to take it.

    Raises:
        StateError: It does not fit; what differs is named.
    """
    if not isinstance(state, Mapping) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, Mapping) else type(state).__name__
        raise StateError(
            f"this is no Sparsifier state of format {FORMAT}; found {found!r}. "
            "Pass what sparsifier.state_dict() gave."
        )
    try:
        return _checked(sparsifier, state)
    except (KeyError, TypeError, AttributeError, FileError, RuntimeError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(
            f"the Sparsifier state is damaged ({type(error).__name__}: {error}). Nothing was "
            "changed; use another checkpoint."
        ) from error


def _checked(sparsifier: Sparsifier, state: Mapping[str, Any]) -> Unpacked:
    _same_plan(sparsifier.plan.fingerprint(), state["plan"])
    weights = sparsifier.weights()
    if set(state["masks"]) != set(weights):
        odd = sorted(set(state["masks"]) ^ set(weights))
        raise StateError(
            f"the state is of another model: {', '.join(odd)} are in only one of the two. Build "
            "the model and call rarefy.sparsify as in the run that was saved."
        )
    masks = {}
    for name, weight in weights.items():
        saved, shape = state["masks"][name], sparsifier.targets[name].shape
        if tuple(saved["shape"]) != shape:
            raise StateError(f"{name} has shape {shape}; the state has {tuple(saved['shape'])}.")
        masks[name] = unpack_bits(saved["bits"], shape).to(weight.device)
    averages = {name: _average(weights[name], value) for name, value in state["averages"].items()}
    if averages and state["rank"] != _rank():
        raise StateError(
            f"the state was saved by rank {state['rank']} and is loaded by rank {_rank()}. Growth "
            "by momentum keeps an average of its own on every rank: save and load one a rank."
        )
    return Unpacked(
        masks=masks,
        step=_whole("step", state["step"]),
        plan=replace(sparsifier.plan, seed=_integer("seed", state["seed"])),
        history=[_record(each) for each in state["history"]],
        nonzero={name: _whole(name, state["nonzero"][name]) for name in weights},
        averages=averages,
        spreads={name: _spread(state["spreads"][name]) for name in sparsifier.spreads},
    )


def _average(weight: Tensor, value: Tensor) -> Tensor:
    if value.shape != weight.shape or not value.isfinite().all():
        raise ValueError(f"an average of shape {tuple(value.shape)} for {tuple(weight.shape)}")
    return value.to(device=weight.device, copy=True)


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}")
    return value


def _whole(name: str, value: object) -> int:
    whole = _integer(name, value)
    if whole < 0:
        raise ValueError(f"{name} is {value!r}")
    return whole


def _spread(value: object) -> float:
    if not isinstance(value, float) or not 0 <= value < math.inf:
        raise TypeError(f"a spread is {value!r}")
    return value


def _record(found: Mapping[str, float]) -> dict[str, float]:
    record = {str(key): number for key, number in found.items()}
    if not all(isinstance(number, int | float) for number in record.values()):
        raise TypeError(f"the history holds {found!r}")
    _whole("step", record["step"])
    return record


def _same_plan(mine: Mapping[str, str], saved: Mapping[str, str]) -> None:
    for word in {**mine, **saved}:  # the method first: it explains the rest
        if mine.get(word) != saved.get(word):
            raise StateError(
                f"the state was saved with {word}={saved.get(word)!r}; this Sparsifier has "
                f"{mine.get(word)!r}. Call rarefy.sparsify with the same arguments, then load."
            )


def _rank() -> int:
    return torch.distributed.get_rank() if world_size() > 1 else 0
