"""An order in which regions and single nodes can run, with every write where it was."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import torch
from torch import fx

from rarefy.acceleration._clean import writes
from rarefy.acceleration._trace import Uncapturable

Item = fx.Node | tuple[fx.Node, ...]
"""A node, or the nodes of a region, which run at once."""


def in_order(
    nodes: Sequence[fx.Node],
    regions: Sequence[Sequence[fx.Node]],
    inputs: Mapping[fx.Node, Sequence[fx.Node]],
) -> list[Item]:
    """Every node once, each after what it reads; as near to the order of the graph as can be.

    Nodes that write into memory keep their place among all nodes that share this memory.

    Args:
        nodes: In the order of the graph.
        regions: Of :func:`rarefy.acceleration._regions.regions`.
        inputs: What a node of a region reads, where that is less than the graph says.

    Raises:
        Uncapturable: There is no such order.
    """
    item_of: dict[fx.Node, Item] = {node: node for node in nodes}
    for region in regions:
        item_of.update(dict.fromkeys(region, tuple(region)))
    place = {node: number for number, node in enumerate(nodes)}
    waits: dict[Item, set[Item]] = {item: set() for item in item_of.values()}
    edges = [(b, n) for n in nodes for b in inputs.get(n, n.all_input_nodes) if b in place]
    for before, node in edges + _kept_apart(nodes):
        if item_of[before] is not item_of[node]:
            waits[item_of[node]].add(item_of[before])
    return _sorted(waits, place)


def _sorted(waits: dict[Item, set[Item]], place: Mapping[fx.Node, int]) -> list[Item]:
    followers: dict[Item, list[Item]] = {item: [] for item in waits}
    for item, before in waits.items():
        for other in before:
            followers[other].append(item)
    missing = {item: len(before) for item, before in waits.items()}
    names = {_first(item, place): item for item in waits}
    ready = [number for number, item in names.items() if not missing[item]]
    heapq.heapify(ready)
    done: list[Item] = []
    while ready:
        item = names[heapq.heappop(ready)]
        done.append(item)
        for follower in followers[item]:
            missing[follower] -= 1
            if not missing[follower]:
                heapq.heappush(ready, _first(follower, place))
    if len(done) < len(waits):
        raise Uncapturable("it writes in place between layers that would run together")
    return done


def _first(item: Item, place: Mapping[fx.Node, int]) -> int:
    return place[item] if isinstance(item, fx.Node) else place[item[-1]]


def written(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Nodes whose memory is written in place by some node, views of it among them."""
    if not any(writes(node) for node in nodes):
        return set()
    memory = _memory(nodes)
    dirty = {memory[part] for node in nodes if writes(node) for part in _written_by(node)}
    return {node for node in nodes if memory[node] in dirty}


def _kept_apart(nodes: Sequence[fx.Node]) -> list[tuple[fx.Node, fx.Node]]:
    """Pairs of nodes whose order matters because of what is written in place."""
    if not any(writes(node) for node in nodes):
        return []
    memory = _memory(nodes)
    dirty = {memory[part] for node in nodes if writes(node) for part in _written_by(node)}
    edges = []
    last_write: dict[fx.Node, fx.Node] = {}
    since: dict[fx.Node, list[fx.Node]] = {}
    for node in nodes:
        touched = {memory[part] for part in (node, *node.all_input_nodes)} & dirty
        changed = {memory[part] for part in _written_by(node)} if writes(node) else set()
        for place in touched:
            if place in last_write:
                edges.append((last_write[place], node))
            if place in changed:
                edges += [(before, node) for before in since.get(place, [])]
                last_write[place], since[place] = node, []
            else:
                since.setdefault(place, []).append(node)
    return edges


def _written_by(node: fx.Node) -> list[fx.Node]:
    schema = node.target._schema  # type: ignore[union-attr]  # it writes, so it has one
    found = []
    given = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | node.kwargs
    for argument in schema.arguments:
        value = given.get(argument.name)
        changes = argument.alias_info is not None and argument.alias_info.is_write
        if changes and isinstance(value, fx.Node):
            found.append(value)
    return found


def _memory(nodes: Sequence[fx.Node]) -> dict[fx.Node, fx.Node]:
    """For each node one node that stands for all that may share its memory."""
    owner: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        owner[node] = node
        for before in node.all_input_nodes:
            owner.setdefault(before, before)  # an argument of the unit, or a constant
            if _may_alias(node):
                old, new = owner[node], owner[before]
                if old is not new:
                    owner.update({n: new for n, o in owner.items() if o is old})
    return owner


def _may_alias(node: fx.Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.op == "call_function"
    # Without alias annotations an operation may still return its input (reshape, contiguous).
    returned = node.target._schema.returns
    views = any(value.alias_info is not None for value in returned)
    return views or (node.target.namespace == "aten" and node.target._opname in _PERHAPS)


_PERHAPS = {"reshape", "contiguous", "to", "flatten", "dropout", "type_as", "float", "unflatten"}
