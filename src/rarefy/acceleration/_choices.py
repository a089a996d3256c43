"""What an accelerated model chose, as data for a file, and a model that runs by such choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree

from rarefy.acceleration._arguments import TensorLike
from rarefy.acceleration._copy import copied
from rarefy.acceleration._explain import Explanation
from rarefy.acceleration._install import checked, dense
from rarefy.acceleration._lanes import LeafLane, UnitLane
from rarefy.acceleration._leaf import is_leaf, leaf_piece
from rarefy.acceleration._packs import Packs
from rarefy.acceleration._plain_data import (
    accepts_data,
    accepts_of,
    argument_data,
    argument_of,
    chain_data,
    chain_of,
    constants_data,
    constants_of,
)
from rarefy.acceleration._plain_script import Unstorable, damaged, script_data, script_of
from rarefy.acceleration._settings import settings_of
from rarefy.acceleration._slim import settle
from rarefy.acceleration._sources import density_of
from rarefy.acceleration._swap import RECORD, is_root, lane_of, swap
from rarefy.acceleration._trace import Uncapturable
from rarefy.acceleration._translate import alone
from rarefy.errors import AttachError, FileError, RarefyError, TargetError

_VERSION = 1


def choices(fast: nn.Module) -> dict[str, Any]:
    """What runs sparse in ``fast``, and how, as JSON data: no weights, nothing that is packed.

    Captured code is told as a list of operations. Code with an operation that a file may not have
    is left out; the layers in it then run one by one after loading.

    Raises:
        AttachError: The model is no accelerated one.
    """
    if not is_root(fast):
        raise AttachError(
            f"{type(fast).__name__} is no accelerated model: only what rarefy.accelerate gave has "
            "choices."
        )
    units, leaves = [], []
    for path, module in fast.named_modules():
        lane = lane_of(module)
        if isinstance(lane, UnitLane):
            try:
                units.append({"path": path, **_unit_data(lane)})
            except Unstorable:
                leaves += _layers_of(lane, path)
        elif isinstance(lane, LeafLane):
            recipe = lane.chain.recipes[0]
            leaf = {"path": path, "precision": recipe.precision, "at_once": lane.at_once}
            leaves.append(leaf)
    # A layer of a unit that cannot be stored is told by its unit; it may stand alone beside it.
    leaves = list({leaf["path"]: leaf for leaf in reversed(leaves)}.values())[::-1]
    record = vars(fast)[RECORD]
    trainable = bool(vars(fast).get("_rarefy_was_trainable"))
    found = {"version": _VERSION, "units": units, "leaves": leaves, "record": record}
    return {**found, "trainable": trainable}


def _unit_data(lane: UnitLane) -> dict[str, Any]:
    return {
        "script": script_data(lane.script),
        "chains": [chain_data(chain) for chain in lane.packs.chains],
        "accepts": accepts_data(lane.accepts),
        "arguments": {name: argument_data(a) for name, a in lane.example.items()},
        "constants": constants_data(lane.constants),
    }


def _layers_of(lane: UnitLane, path: str) -> list[dict[str, Any]]:
    found = []
    for chain in lane.packs.chains:
        for recipe in chain.recipes:
            source = recipe.sources[0]
            if recipe.kind in ("weight", "turned") and source is not None:
                name = ".".join(part for part in (path, *source.path) if part)
                found.append({"path": name, "precision": recipe.precision, "at_once": True})
    return found


def apply_choices(model: nn.Module, chosen: Mapping[str, Any]) -> nn.Module:
    """A copy of ``model`` that runs as the model whose choices these are; nothing is timed.

    The data may come from anywhere: every operation must be an allowed one, every register and
    name is checked, and captured code is run beside the module's own before it is taken.

    Args:
        model: Holds the weights; it is left as it is.
        chosen: From :func:`choices`.

    Raises:
        FileError: The data are damaged, or of another model.
        TargetError: The model cannot be copied or is not on the CPU.
    """
    fast = copied(model)
    swap(fast, None, root=True)
    try:
        if chosen["version"] != _VERSION:
            raise damaged(f"version {chosen['version']!r} is not {_VERSION}")
        vars(fast)["_rarefy_was_trainable"] = bool(chosen["trainable"])
        record = dict(chosen["record"])
        str(Explanation(record))
        _check_once(chosen)
        with torch.inference_mode(False), torch.no_grad():
            for data in chosen["units"]:
                _unit(fast, data)
            for data in chosen["leaves"]:
                _leaf(fast, data)
            settle(fast)
    except FileError:
        raise
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        ArithmeticError,
    ) as e:
        raise damaged(f"{type(e).__name__} in {str(e)[:80]!r}") from e
    except (RarefyError, Uncapturable, SyntaxError) as e:
        raise damaged(str(e)) from e
    vars(fast)[RECORD] = record
    return fast


def _check_once(chosen: Mapping[str, Any]) -> None:
    """Refuse a list that names a module twice."""
    for kind in ("units", "leaves"):
        paths = [str(data["path"]) for data in chosen[kind]]
        if len(set(paths)) < len(paths):
            raise damaged("it names a module twice")


def _module(fast: nn.Module, path: Any) -> nn.Module:  # noqa: ANN401 - from a file
    module = fast
    for part in path.split(".") if path else ():
        inner = module._modules.get(part)
        if inner is None:
            raise damaged(f"the model has no {str(path)[:80]!r}")
        module = inner
    return module


def _unit(fast: nn.Module, data: Mapping[str, Any]) -> None:
    module = _module(fast, data["path"])
    chains = [chain_of(row) for row in data["chains"]]
    arguments = {str(n): argument_of(row) for n, row in data["arguments"].items()}
    script = script_of(data["script"], len(chains))
    accepts = accepts_of(data["accepts"])
    if list(accepts.wanted) != list(arguments) or script.inputs != len(arguments):
        raise damaged("its arguments are not those of its code")
    lane = UnitLane(
        script,
        Packs(chains, data["path"]),
        accepts,
        _output_of(module, arguments),
        constants_of(data["constants"]),
        settings_of(module),
        arguments,
    )
    lane.revive(module)
    swap(module, lane)
    loose = any(r.precision != "float32" for chain in chains for r in chain.recipes)
    try:
        checked(module, lane, arguments, loose=loose)
    except Uncapturable:
        swap(module, None)
        lane.packs.remove(module)
        raise


def _output_of(module: nn.Module, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a TreeSpec
    """How the module puts its outputs together, seen in a call of its own."""
    given = {n: a.example() if isinstance(a, TensorLike) else a.value for n, a in arguments.items()}
    with dense(module):
        try:
            output = module(**given)
        except Exception as error:  # whatever the user's code raises
            raise damaged(f"the model does not take its example: {error}") from error
    return _pytree.tree_structure(output)


def _leaf(fast: nn.Module, data: Mapping[str, Any]) -> None:
    module = _module(fast, data["path"])
    piece = leaf_piece(module) if is_leaf(module) else "it is no single layer"
    if isinstance(piece, str) or piece.layer is None:
        raise TargetError(f"{data['path']} cannot run sparse: {piece}")
    rank = 4 if piece.layer.op == "conv" else 2
    chain = alone(piece, module, rank, str(data["precision"]))
    density = density_of(piece.layer.source.tensor(module))
    lane = LeafLane(chain, data["path"], at_once=bool(data["at_once"]), density=density)
    lane.revive(module)
    swap(module, lane)
