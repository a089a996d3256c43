"""A module traced, cleaned and looked through: what of it could run in chains, and what not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from rarefy.acceleration._accepts import Accepts, wanted_of
from rarefy.acceleration._arguments import Argument, TensorLike, names_of_arguments
from rarefy.acceleration._clean import clean
from rarefy.acceleration._order import in_order, written
from rarefy.acceleration._piece import Piece
from rarefy.acceleration._pieces import piece_of
from rarefy.acceleration._script import Call, Script, script
from rarefy.acceleration._trace import Traced, trace, whole
from rarefy.acceleration._translate import Translated, translate


@dataclass(slots=True)
class Unit:
    """One traced module."""

    module: nn.Module
    path: str
    """Its name in the model; empty for the model itself."""
    traced: Traced
    nodes: list[fx.Node]
    """In the order of the graph, without placeholders and output."""
    pieces: dict[fx.Node, Piece]
    """The nodes that a chain can compute."""
    reasons: dict[fx.Node, str]
    """Nodes with a weight that a chain cannot compute, and why."""
    sizes: Mapping[Any, int]
    """The symbols of the graph's sizes, as the example has them."""
    all_pieces: Mapping[fx.Node, Piece]
    """The same and those that were put aside since."""

    def name(self, below: str) -> str:
        """The name in the model of something below this module."""
        return f"{self.path}.{below}" if self.path else below

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Sides of what the node gives for the example."""
        return tuple(_size(side, self.sizes) for side in node.meta["val"].shape)

    def size_or_shape(self, node: fx.Node) -> int | tuple[int, ...]:
        """The same; for a node that gives a size, this size."""
        return _size(node.meta["val"], self.sizes) if _is_size(node) else self.shape(node)


def prepare(module: nn.Module, path: str, arguments: Mapping[str, Argument]) -> Unit:
    """Trace ``module`` as it is called with such arguments, and see what could be chained.

    Raises:
        Uncapturable: It cannot be traced.
    """
    traced = trace(module, arguments)
    clean(traced.graph)
    nodes = [n for n in traced.graph.nodes if n.op not in ("placeholder", "output")]
    dirty = written(nodes)
    pieces: dict[fx.Node, Piece] = {}
    reasons: dict[fx.Node, str] = {}
    for node in nodes:
        if node.op != "call_function":
            continue
        found = piece_of(node, module)
        if not isinstance(found, str) and not dirty & {node, *found.inputs}:
            pieces[node] = found
        elif _multiplies(node):
            reasons[node] = found if isinstance(found, str) else "its memory is written in place"
    sizes = _sizes_of(traced, arguments)
    return Unit(module, path, traced, nodes, pieces, reasons, sizes, dict(pieces))


_PRODUCTS = ("linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "lstm", "gru", "rnn_tanh")


def _multiplies(node: fx.Node) -> bool:
    name = getattr(node.target, "_opname", "")
    if not (name in _PRODUCTS or name.startswith("conv")):
        return False
    return any(_is_weight(before) for before in node.all_input_nodes)


def _is_weight(node: fx.Node) -> bool:
    while node.op == "call_function" and node.args and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    value = node.meta.get("val")
    return node.op == "get_attr" and isinstance(value, torch.Tensor) and value.dim() >= 2


def weight_names(node: fx.Node) -> list[str]:
    """The parameters of two sides or more that the node reads, by name."""
    found = []
    for before in node.all_input_nodes:
        while before.op == "call_function" and before.args and isinstance(before.args[0], fx.Node):
            before = before.args[0]
        if before.op == "get_attr" and before.meta["val"].dim() >= 2:
            found.append(str(before.target))
    return found


def _sizes_of(traced: Traced, arguments: Mapping[str, Argument]) -> dict[Any, int]:
    """What each symbol is for the example, which was perhaps doubled to be traced."""
    placeholders = [n for n in traced.graph.nodes if n.op == "placeholder"]
    found: dict[Any, int] = {}
    for node, argument in zip(placeholders, arguments.values(), strict=True):
        if not isinstance(argument, TensorLike):
            continue
        for side, size in zip(node.meta["val"].shape, argument.shape, strict=True):
            if whole(side) is None and side.node.expr.is_Symbol:
                found.setdefault(side.node.expr, size)
    return found


def _size(side: int | torch.SymInt, sizes: Mapping[Any, int]) -> int:
    fixed = whole(side)
    if fixed is not None:
        return fixed
    told = side.node.expr.subs(dict(sizes))  # type: ignore[union-attr]  # it is open
    return int(told) if told.is_number else int(side.node.hint)  # type: ignore[union-attr]


def accepts(unit: Unit) -> Accepts:
    """The calls that code of this unit can answer, as far as tracing tells."""
    traced = unit.traced
    wanted = {
        name: wanted_of(argument, traced.pinned.get(name, ()))  # type: ignore[arg-type]
        for name, argument in traced.arguments.items()
    }
    return Accepts(names_of_arguments(type(unit.module).forward), wanted, traced.conditions)


def assembled(
    unit: Unit,
    regions: Sequence[Sequence[fx.Node]],
    precision: Mapping[str, str] | None = None,
) -> tuple[Script, list[Translated]]:
    """Code of the whole unit with these regions as chains.

    Raises:
        Uncapturable: It cannot be put in an order, or an operation has no name.
    """
    output = next(n for n in unit.traced.graph.nodes if n.op == "output")
    inputs = [n for n in unit.traced.graph.nodes if n.op == "placeholder"]
    return _put_together(unit, unit.nodes, regions, inputs, list(output.args[0]), precision or {})


def tapped(unit: Unit, nodes: Sequence[fx.Node]) -> Script:
    """Code of the unit that gives what these nodes read, in their order.

    Raises:
        Uncapturable: As for :func:`assembled`.
    """
    inputs = [n for n in unit.traced.graph.nodes if n.op == "placeholder"]
    outputs = [unit.pieces[node].inputs[0] for node in nodes]
    return _put_together(unit, unit.nodes, [], inputs, outputs, {})[0]


def excerpt(
    unit: Unit,
    nodes: Sequence[fx.Node],
    regions: Sequence[Sequence[fx.Node]],
    precision: Mapping[str, str] | None = None,
) -> tuple[Script, list[Translated], list[fx.Node]]:
    """Code of some nodes alone, with these regions among them as chains, and what it reads.

    Raises:
        Uncapturable: As for :func:`assembled`.
    """
    inside = set(nodes)
    read = dict.fromkeys(b for n in nodes for b in _data(unit, n) if b not in inside)
    inputs = list(read)
    outputs = [node for node in nodes if set(node.users) - inside]
    stored = {b for n in nodes for b in _stored(n) if b not in inside and b not in read}
    kept = [node for node in unit.nodes if node in inside or node in stored]
    made = _put_together(unit, kept, regions, inputs, outputs, precision or {})
    return (*made, inputs)


def _data(unit: Unit, node: fx.Node) -> tuple[fx.Node, ...]:
    """What the node reads, parameters apart; sizes among it."""
    piece = unit.all_pieces.get(node)
    if piece is None:
        return tuple(node.all_input_nodes)
    return (*piece.inputs, *(b for b in node.all_input_nodes if _is_size(b)))


def _is_size(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), int | torch.SymInt)


def _stored(node: fx.Node) -> list[fx.Node]:
    """Parameters that the node reads, and what is between them and it."""
    found: list[fx.Node] = []
    for before in node.all_input_nodes:
        if before.op == "get_attr":
            found.append(before)
        elif _is_weight(before) and all(n.op == "get_attr" for n in before.all_input_nodes):
            found += [*before.all_input_nodes, before]
    return found


def _put_together(
    unit: Unit,
    nodes: Sequence[fx.Node],
    regions: Sequence[Sequence[fx.Node]],
    inputs: Sequence[fx.Node],
    outputs: Any,  # noqa: ANN401 - nodes in lists
    precision: Mapping[str, str],
) -> tuple[Script, list[Translated]]:
    reads = {node: unit.pieces[node].inputs for region in regions for node in region}
    items = in_order(nodes, regions, reads)
    made, calls = [], {}
    for number, region in enumerate(regions):
        one = translate(region, unit.pieces, unit.module, precision)
        made.append(one)
        calls[tuple(region)] = Call(number, one.inputs, one.outputs)
    return script(items, calls, inputs, outputs), made
