"""The floor: every layer that wins alone runs sparse by itself, whoever calls it, however."""

from __future__ import annotations

import torch
from torch import nn

from rarefy.acceleration._calls import Calls
from rarefy.acceleration._choose import Wish
from rarefy.acceleration._findings import Findings
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._lanes import LeafLane, UnitLane
from rarefy.acceleration._leaf import is_leaf, leaf_piece
from rarefy.acceleration._piece import Piece
from rarefy.acceleration._rounding import Rounding
from rarefy.acceleration._rows import DENSE, LayerRow
from rarefy.acceleration._sources import bytes_of, density_of
from rarefy.acceleration._swap import lane_of, plain_class, swap
from rarefy.acceleration._translate import alone
from rarefy.errors import TargetError
from rarefy.targets import find


def lay_floor(
    model: nn.Module,
    calls: Calls,
    judge: Judge,
    wish: Wish,
    findings: Findings,
    rounding: Rounding | None = None,
) -> None:
    """Give a lane to each Linear and convolution that won alone, and a row to every weight.

    Inside captured code such a layer is packed only when a call goes past the capture.
    """
    leaves = {path: module for path, module in model.named_modules() if is_leaf(module)}
    if rounding is not None:
        rounding.look_at_layers({p: m for p, m in leaves.items() if _may_round(p, m, findings)})
    for path, module in leaves.items():
        _leaf(model, path, module, calls, judge, wish, findings)
    _name_the_rest(model, calls, findings)


def _may_round(path: str, module: nn.Module, findings: Findings) -> bool:
    name = f"{path}.weight" if path else "weight"
    weight = module._parameters["weight"]
    if weight is None or isinstance(module, nn.Conv2d) or name in findings.layers:
        return False
    return density_of(weight) <= DENSE


def _leaf(
    model: nn.Module,
    path: str,
    module: nn.Module,
    calls: Calls,
    judge: Judge,
    wish: Wish,
    findings: Findings,
) -> None:
    name = f"{path}.weight" if path else "weight"
    piece = leaf_piece(module)
    if isinstance(piece, str):
        if name not in findings.layers:
            findings.layers[name] = _row(name, module, plain_class(module).__name__, piece)
        return
    row = findings.layers.get(_known_as(model, module, findings) or name)
    if row is None:
        row = _timed(name, module, piece, calls, judge, wish)
        findings.layers[name] = row
    captured = _captured(model, path)
    won = row.sparse is not None and row.dense is not None and judge.wins(row.sparse, row.dense)
    smaller = wish.goal == "memory" and row.density <= DENSE and row.sparse is not None
    if not won and not smaller:
        return
    rank = 4 if row.op == "conv" else 2
    chain = alone(piece, module, rank, row.precision)
    lane = LeafLane(chain, path, at_once=not captured, density=row.density)
    lane.revive(module)
    swap(module, lane)
    findings.leaves.append(path)
    if not captured:
        row.kept = True
        row.bytes_packed = lane.packs.packed(module, 0).numel()


def _known_as(model: nn.Module, module: nn.Module, findings: Findings) -> str | None:
    """The name under which the layer's weight has a row already; a tied one has several."""
    named = dict(model.named_parameters(remove_duplicate=False))
    weight = module._parameters["weight"]
    return next((name for name in findings.layers if named.get(name) is weight), None)


def _captured(model: nn.Module, path: str) -> bool:
    """Whether captured code of a module around it runs this layer."""
    parts = path.split(".") if path else []
    module = model
    for part in (*parts, None):
        if isinstance(lane_of(module), UnitLane):
            return True
        if part is not None:
            module = module._modules[part]  # type: ignore[assignment]  # named_modules found it
    return False


def _timed(
    name: str, module: nn.Module, piece: Piece, calls: Calls, judge: Judge, wish: Wish
) -> LayerRow:
    row = _row(name, module, piece.layer.op if piece.layer else "?", "")
    if row.density > DENSE:
        row.why = f"{1 - row.density:.0%} of its weights are zero: too few to skip"
        return row
    if module not in calls.count:
        row.why = (
            "the example never called it: it takes another path, or the layer that owns it reads "
            "its weight by itself"
        )
        return row
    row.input = calls.shapes.get(module, ())
    row.stride, row.pad = (piece.parts[0].options.get(key) for key in ("stride", "pad"))
    kinds = ("float32", *wish.rounded.get(name, ()))
    try:
        seconds = judge.layer(piece, module, row.input, kinds)
    except TargetError as error:
        row.why = str(error)
        return row
    best = min((k for k in seconds if k != "dense"), key=seconds.__getitem__)
    row.dense, row.sparse, row.precision = seconds["dense"], seconds[best], best
    row.why = f"{row.dense / row.sparse:.2f}x dense alone"
    if not judge.wins(row.sparse, row.dense) and wish.goal != "memory":
        row.why += f"; {1 + judge.margin:g}x is wanted"
    return row


def _row(name: str, module: nn.Module, op: str, why: str) -> LayerRow:
    weight = module._parameters["weight"]
    if weight is None:
        raise TargetError(f"{name} is gone. Call rarefy.accelerate on the model as it is.")
    row = LayerRow(name, op, tuple(weight.shape), density_of(weight), why=why)
    row.bytes_dense = bytes_of(row.shape)
    return row


def _name_the_rest(model: nn.Module, calls: Calls, findings: Findings) -> None:
    """Every other weight that could be sparse: recurrent ones, attention's, transposed ones."""
    try:
        targets = find(model)
    except TargetError as error:  # one of them is computed, or there is none
        findings.notes.append(str(error))
        return
    named = dict(model.named_parameters(remove_duplicate=False))
    known = {id(named[name]) for name in findings.layers if name in named}
    modules = dict(model.named_modules())
    for name, target in targets.items():
        weight = named.get(name)
        if weight is None or id(weight) in known:
            continue
        holder = modules.get(target.module, model)
        kind = plain_class(holder).__name__
        called = holder in calls.count
        why = (
            f"{kind} has no sparse kernel outside captured code"
            if called
            else "the example never called the layer that owns it"
        )
        row = LayerRow(name, kind, tuple(weight.shape), _density(weight), why=why)
        findings.layers[name] = row


def _density(weight: torch.Tensor) -> float:
    return density_of(weight.detach())
