"""Takes the dense weights of packed layers out of a model, where nothing else reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from rarefy.acceleration._copy import own
from rarefy.acceleration._lanes import Lane, UnitLane
from rarefy.acceleration._leaf import is_leaf
from rarefy.acceleration._lean import LeanWeight, lean_parameter
from rarefy.acceleration._sources import Source
from rarefy.acceleration._swap import lane_of, swap
from rarefy.kernels import read

_HOOK = -6174
"""Our key among a module's hooks on state_dict; torch's own keys are not negative."""


def settle(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Make a copy independent of the model it borrowed its weights from.

    Weights that only chains read keep their packed bytes alone; all others get memory of their own.

    Returns:
        As :func:`slim`.
    """
    found = slim(model)
    own(model)
    for module in model.modules():
        lane = lane_of(module)
        if lane is not None and lane.packs.plans:
            lane.packs.look(module)
    return found


def slim(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Replace dense weights that only chains read by their packed bytes.

    Whoever calls it has the chains look at their weights again.

    A weight that an embedding shares, or that captured code reads besides, stays. ``state_dict()``
    still gives dense tensors.

    Returns:
        Of each weight that went: its name, and the bytes before and after.
    """
    lanes = [(m, lane) for m in model.modules() if (lane := lane_of(m)) is not None]
    kept = _read_elsewhere(model, lanes)
    packed: dict[int, tuple[Tensor, Any]] = {}
    for module, lane in lanes:
        for source, section, turned in _weights(module, lane):
            weight = source.tensor(module)
            if id(weight) not in kept and section.data.numel() < weight.numel() * 4:
                lean = lean_parameter(section.data, tuple(weight.shape), turned)
                packed.setdefault(id(weight), (weight, lean))
    return _put(model, packed)


def _weights(module: nn.Module, lane: Lane) -> Iterator[tuple[Source, Any, bool]]:
    for number, chain in enumerate(lane.packs.chains if lane.packs.plans else ()):
        sections = read(lane.packs.packed(module, number))
        for recipe, section in zip(chain.recipes, sections, strict=True):
            source = recipe.sources[0]
            if recipe.kind in ("weight", "turned") and source is not None:
                exact = (
                    recipe
                    if recipe.precision == "float32"
                    else replace(recipe, precision="float32")
                )
                turned = recipe.kind == "turned"
                yield source, section if exact is recipe else exact.section(module), turned


def _read_elsewhere(model: nn.Module, lanes: list[tuple[nn.Module, Lane]]) -> set[int]:
    """Weights that somebody reads besides the chains, by ``id``."""
    found = set()
    for module in model.modules():
        if not is_leaf(module) and not isinstance(module, nn.MultiheadAttention):
            found |= {id(p) for p in module._parameters.values() if p is not None}
    for module, lane in lanes:
        if isinstance(lane, UnitLane):
            named: Mapping[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
            lines = [line for line in lane.script.lines if line.target == "attribute"]
            found |= {id(named[line.args[0]]) for line in lines if line.args[0] in named}
    return found


def _put(
    model: nn.Module, packed: Mapping[int, tuple[Tensor, LeanWeight]]
) -> dict[str, tuple[int, int]]:
    found = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is None or id(parameter) not in packed:
                continue
            weight, lean = packed[id(parameter)]
            module._parameters[name] = lean
            swap(module, lane_of(module))
            module._state_dict_hooks.setdefault(_HOOK, _densify)
            full = f"{path}.{name}" if path else name
            found[full] = (weight.numel() * weight.element_size(), lean.held)
    return found


def _densify(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: object
) -> dict[str, Any]:
    del module, metadata
    for name, value in state.items():
        if name.startswith(prefix) and isinstance(value, LeanWeight):
            state[name] = value.dense()
    return state
