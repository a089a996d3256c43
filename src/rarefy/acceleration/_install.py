"""Puts the chains that won into a module, and checks that it still computes the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from rarefy.acceleration._accepts import Accepts, TensorWanted
from rarefy.acceleration._arguments import Argument, Constant, TensorLike
from rarefy.acceleration._choose import Choice
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._lanes import NO, UnitLane
from rarefy.acceleration._packs import Packs
from rarefy.acceleration._prepare import Unit, accepts, assembled
from rarefy.acceleration._settings import settings_of
from rarefy.acceleration._swap import lane_of, swap
from rarefy.acceleration._trace import Uncapturable

RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""Largest difference to the model itself; float32 sums in another order."""
LOOSE = 0.5
"""The same for values of low precision, norm over norm."""


def install(unit: Unit, choice: Choice, judge: Judge, arguments: Mapping[str, Argument]) -> None:
    """Give the unit's module a lane with the chains of ``choice``.

    The captured code is run beside the module's own: on arguments as the example had them, and
    with each open size as one. Where a size of one gives something else (code that asks for it),
    it is refused from then on.

    Raises:
        Uncapturable: The code gives something else than the module. Nothing is changed.
    """
    script, made = assembled(unit, choice.regions, choice.precision)
    packs = Packs([one.chain for one in made], unit.path)
    ready = [judge.ready(one.chain, unit.module) for one in made]
    traced, settings = unit.traced, settings_of(unit.module)
    lane = UnitLane(
        script, packs, accepts(unit), traced.output, traced.constants, settings, arguments
    )
    packs.adopt(unit.module, [r.packed for r in ready], [r.plan for r in ready])
    lane.ready(unit.module)
    swap(unit.module, lane)
    try:
        loose = bool(choice.precision)
        checked(unit.module, lane, arguments, loose=loose)
        lane.accepts = _without_ones(unit, lane, arguments, loose=loose)
    except Uncapturable:
        swap(unit.module, None)
        packs.remove(unit.module)
        raise


def checked(
    module: nn.Module, lane: UnitLane, arguments: Mapping[str, Argument], *, loose: bool
) -> None:
    """Run the lane beside the module's own code, on such arguments.

    Raises:
        Uncapturable: They do not give the same.
    """
    if not _agrees(module, lane, arguments, loose=loose):
        raise Uncapturable("its captured code gave something else than the module itself")


def _without_ones(
    unit: Unit, lane: UnitLane, arguments: Mapping[str, Argument], *, loose: bool
) -> Accepts:
    found = lane.accepts
    for sides in _open_sides(unit, found):
        one = {
            name: TensorLike(
                tuple(1 if s in sides.get(name, ()) else size for s, size in enumerate(a.shape)),
                a.dtype,
            )
            if isinstance(a, TensorLike)
            else a
            for name, a in arguments.items()
        }
        if not _agrees(unit.module, lane, one, loose=loose):
            found = found.not_one(sides)
    return found


def _open_sides(unit: Unit, accepted: Accepts) -> Iterator[dict[str, frozenset[int]]]:
    """The sides that are open, those of one symbol together."""
    groups: dict[str, dict[str, set[int]]] = {}
    nodes = [n for n in unit.traced.graph.nodes if n.op == "placeholder"]
    for (name, wanted), node in zip(accepted.wanted.items(), nodes, strict=True):
        if isinstance(wanted, TensorWanted):
            for side, fixed in enumerate(wanted.sizes):
                if fixed is None:
                    symbol = _root(unit, str(node.meta["val"].shape[side]), name, side)
                    groups.setdefault(symbol, {}).setdefault(name, set()).add(side)
    for group in groups.values():
        yield {name: frozenset(sides) for name, sides in group.items()}


def _root(unit: Unit, symbol: str, name: str, side: int) -> str:
    """One symbol for sides that must be equal, told by the conditions as well as by the graph."""
    me = f"L['{name}'].size()[{side}]"
    for condition in unit.traced.conditions:
        left, equals, right = condition.text.partition(" == ")
        if equals and me in (left, right):
            return min(left, right)
    return symbol if symbol.startswith("s") else me


def _agrees(
    module: nn.Module, lane: UnitLane, arguments: Mapping[str, Argument], *, loose: bool
) -> bool:
    """Whether lane and module both answer such arguments, and the same."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            with dense(module):
                torch.manual_seed(0)
                wanted = module(**_given(arguments))
            torch.manual_seed(0)
            found = lane.call(module, (), _given(arguments))
        except Exception:  # whatever the user's code, or ours, raises for arguments it cannot take
            return False
    return found is not NO and close(found, wanted, loose=loose)


def _given(arguments: Mapping[str, Argument]) -> dict[str, Any]:
    """Fresh tensors each time, as the module may write into them, and always of the same values."""
    given: dict[str, Any] = {}
    for name, argument in arguments.items():
        if isinstance(argument, TensorLike):
            given[name] = argument.example()
        elif isinstance(argument, Constant):
            given[name] = argument.value
    return given


@contextlib.contextmanager
def dense(model: nn.Module) -> Iterator[None]:
    """Inside, every module of ``model`` runs its own code on its own weights."""
    lanes = [lane for module in model.modules() if (lane := lane_of(module)) is not None]
    for lane in lanes:
        lane.packs.off = True
    try:
        yield
    finally:
        for lane in lanes:
            lane.packs.off = False


def close(found: object, wanted: object, *, loose: bool = False) -> bool:
    """Whether two outputs are the same structure of the same numbers, up to rounding.

    Args:
        found: Any output of a model.
        wanted: Another.
        loose: Values of low precision; what they cost is measured elsewhere, so only what cannot be
            rounding is seen.
    """
    ours, ours_spec = _pytree.tree_flatten(found)
    theirs, theirs_spec = _pytree.tree_flatten(wanted)
    if ours_spec != theirs_spec:
        return False
    return all(_same(one, other, loose=loose) for one, other in zip(ours, theirs, strict=True))


def _same(one: object, other: object, *, loose: bool) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        # Of other things (a cache of keys and values) only the kind is known to be comparable.
        plain = isinstance(other, bool | int | str)
        return type(one) is type(other) and (not plain or one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return loose or torch.equal(one, other)
    if loose:
        error, norm = float((one - other).norm()), float(other.norm())
        return not error > LOOSE * norm
    scale = float(other.abs().nan_to_num(posinf=0).max()) if other.numel() else 0.0
    limit = max(ABSOLUTE, ABSOLUTE * scale)
    return torch.allclose(one, other, rtol=RELATIVE, atol=limit, equal_nan=True)
