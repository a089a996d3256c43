"""Which regions of a unit run as chains: those that are measurably faster so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import fx

from rarefy.acceleration._judge import Judge
from rarefy.acceleration._piece import Layer, Piece
from rarefy.acceleration._prepare import Unit, excerpt
from rarefy.acceleration._regions import regions
from rarefy.acceleration._rows import DENSE, ChainRow, LayerRow
from rarefy.acceleration._sources import bytes_of, density_of

_PASSENGER = 1 << 21
"""Weights of a dense layer that may ride in a chain; packed, each takes half as much again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for."""

    goal: str = "latency"
    precision: str = "float32"
    rounded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The kinds that a weight may be rounded to, by its name in the model."""


@dataclass(slots=True)
class Choice:
    """The outcome for one unit."""

    regions: list[list[fx.Node]] = field(default_factory=list)
    """The nodes of each chain."""
    precision: dict[str, str] = field(default_factory=dict)
    """How values are kept, by the weight's name in the unit; float32 where it is not told."""
    rounded: dict[str, str] = field(default_factory=dict)
    """The fastest kind that a weight may be rounded to."""
    layers: dict[str, LayerRow] = field(default_factory=dict)
    """By the weight's name in the unit."""
    chains: list[ChainRow] = field(default_factory=list)


def choose(unit: Unit, judge: Judge, wish: Wish) -> Choice:
    """Time layers and regions of ``unit``, and take what wins.

    A layer is timed alone. A region is timed as one chain, with the layers that lost alone taken
    out of it (which cuts it in pieces), and dense; the fastest is taken if it beats dense by the
    margin. So a layer that loses alone can stay in a chain, where cutting would cost more.

    Raises:
        Uncapturable: The unit cannot be put together.
    """
    choice = Choice()
    for node, piece in list(unit.pieces.items()):
        if piece.layer is not None:
            _alone(unit, node, piece, judge, wish, choice)
    for region in regions(unit.nodes, unit.pieces):
        if any(_candidate(choice, unit, node) for node in region):
            _decide(unit, region, judge, wish, choice)
    return choice


def row_of(choice: Choice, layer: Layer) -> LayerRow:
    """The row of a layer."""
    return choice.layers[layer.name]


def _candidate(choice: Choice, unit: Unit, node: fx.Node) -> bool:
    layer = unit.pieces[node].layer if node in unit.pieces else None
    return layer is not None and row_of(choice, layer).density <= DENSE


def _alone(
    unit: Unit, node: fx.Node, piece: Piece, judge: Judge, wish: Wish, choice: Choice
) -> None:
    layer = piece.layer
    if layer is None:
        return
    row = choice.layers.get(layer.name)
    if row is None:
        weight = layer.source.tensor(unit.module)
        row = LayerRow(unit.name(layer.name), layer.op, layer.shape, density_of(weight))
        row.input = unit.shape(piece.inputs[0])
        row.stride, row.pad = (piece.parts[0].options.get(key) for key in ("stride", "pad"))
        row.bytes_dense = bytes_of(layer.shape)
        choice.layers[layer.name] = row
        if row.density <= DENSE:
            _time(row, piece, unit, judge, wish, choice)
    if row.density > DENSE:
        row.why = f"{1 - row.density:.0%} of its weights are zero: too few to skip"
        size = layer.shape[0] * layer.shape[1]
        if wish.goal == "memory" or size > _PASSENGER:
            del unit.pieces[node]


def _time(
    row: LayerRow, piece: Piece, unit: Unit, judge: Judge, wish: Wish, choice: Choice
) -> None:
    kinds = ("float32", *wish.rounded.get(row.name, ()))
    seconds = judge.layer(piece, unit.module, row.input, kinds)
    best = min(kinds, key=seconds.__getitem__)
    row.dense, row.sparse, row.precision = seconds["dense"], seconds[best], best
    if len(kinds) > 1 and piece.layer is not None:
        choice.rounded[piece.layer.name] = min(kinds[1:], key=seconds.__getitem__)
        if best != "float32":
            choice.precision[piece.layer.name] = best


def _decide(
    unit: Unit, region: Sequence[fx.Node], judge: Judge, wish: Wish, choice: Choice
) -> None:
    rows = {
        node: row_of(choice, layer)
        for node in region
        if (layer := unit.pieces[node].layer) is not None
    }
    losers = {n for n, row in rows.items() if not _won(row, judge)}
    ways = {"dense": _Way([], {}), "whole": _Way([list(region)], choice.precision)}
    if losers and wish.goal != "memory":
        rest = {n: unit.pieces[n] for n in region if n not in losers}
        cut = [r for r in regions(region, rest) if any(_candidate(choice, unit, n) for n in r)]
        if cut:
            ways["cut"] = _Way(cut, choice.precision)
    ways |= _unmixed(unit, region, choice)
    seconds = _seconds(unit, region, ways, judge, list(rows.values()))
    best = min((name for name in ways if name != "dense"), key=seconds.__getitem__)
    kept = wish.goal == "memory" or judge.wins(seconds[best], seconds["dense"])
    taken = ways[best].parts if kept else []
    if kept:
        choice.precision = dict(ways[best].precision)
        for node, row in rows.items():
            row.precision = choice.precision.get(_name(unit, node), "float32")
    _note(unit, region, taken, seconds, best, kept, rows, choice, judge)
    choice.regions += taken


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to run a region: as these chains, with values kept so."""

    parts: list[list[fx.Node]]
    precision: dict[str, str]


def _name(unit: Unit, node: fx.Node) -> str:
    layer = unit.pieces[node].layer
    return "" if layer is None else layer.name


def _unmixed(unit: Unit, region: Sequence[fx.Node], choice: Choice) -> dict[str, _Way]:
    """Where some layers were faster in low precision and some were not: all so, or none.

    In one chain both lie in memory as low precision wants them, which float32 pays for.
    """
    names = [_name(unit, node) for node in region if _candidate(choice, unit, node)]
    if len({name in choice.precision for name in names}) < 2:
        return {}
    rounded = {name: choice.rounded[name] for name in names if name in choice.rounded}
    none = {name: kind for name, kind in choice.precision.items() if name not in names}
    return {
        "whole in low precision": _Way([list(region)], choice.precision | rounded),
        "whole in float32": _Way([list(region)], none),
    }


def _won(row: LayerRow, judge: Judge) -> bool:
    return row.sparse is not None and row.dense is not None and judge.wins(row.sparse, row.dense)


def _seconds(
    unit: Unit,
    region: Sequence[fx.Node],
    ways: Mapping[str, _Way],
    judge: Judge,
    rows: Sequence[LayerRow],
) -> dict[str, float]:
    scripts = {}
    for name, way in ways.items():
        script, made, inputs = excerpt(unit, region, way.parts, way.precision)
        scripts[name] = (script, [one.chain for one in made])
    shapes = [unit.size_or_shape(node) for node in inputs]
    return judge.variants(scripts, unit.module, shapes, [row.density for row in rows])


def _note(
    unit: Unit,
    region: Sequence[fx.Node],
    taken: Sequence[Sequence[fx.Node]],
    seconds: Mapping[str, float],
    best: str,
    kept: bool,
    rows: Mapping[fx.Node, LayerRow],
    choice: Choice,
    judge: Judge,
) -> None:
    """Write down the outcome for the region and its layers."""
    times = seconds["dense"] / seconds[best]
    told = f"{times:.2f}x dense as {'chains between' if best == 'cut' else 'one chain'}"
    why = told if kept else f"{told}; {1 + judge.margin:g}x is wanted"
    for part in taken or [list(region)]:
        steps = [p.op for n in part for p in unit.pieces[n].parts]
        names = [rows[n].name for n in part if n in rows]
        choice.chains.append(
            ChainRow(unit.path, steps, names, seconds["dense"], seconds[best], kept, why)
        )
    inside = {node for part in taken for node in part}
    for node, row in rows.items():
        row.kept = row.kept or node in inside
        alone = _alone_words(row)
        if node in inside:
            rides = row.density > DENSE or not _won(row, judge)
            row.why = f"{alone}; in its chain cutting would cost more" if rides else alone
        elif row.density <= DENSE:
            row.why = alone if kept else f"{alone}; its region {why}"


def _alone_words(row: LayerRow) -> str:
    if row.dense is None or row.sparse is None:
        return row.why
    return f"{row.dense / row.sparse:.2f}x dense alone"
