"""Which nodes of a graph are computed together, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import fx

from rarefy.acceleration._piece import Piece


def regions(nodes: Iterable[fx.Node], pieces: Mapping[fx.Node, Piece]) -> list[list[fx.Node]]:
    """The nodes that become chains, each region in the order of the graph.

    The level of a node is the highest level of what it reads, one more where a chain cannot
    compute it. Supported nodes of equal level that touch, or that share their first input (as
    queries, keys and values do), are one region. A path that leaves a region and comes back
    crosses a node that is not supported, so it comes back at a higher level: a region never
    waits for itself. Regions without a weight are dropped, there is nothing to gain in them.

    Args:
        nodes: In the order of the graph.
        pieces: The supported ones.
    """
    level: dict[fx.Node, int] = {}
    group: dict[fx.Node, list[fx.Node]] = {}
    place = {node: number for number, node in enumerate(nodes)}
    for node in place:
        read = pieces[node].inputs if node in pieces else node.all_input_nodes
        below = max((level.get(before, 0) for before in read), default=0)
        level[node] = below + (node not in pieces and node.op == "call_function")
        if node not in pieces:
            continue
        group[node] = [node]
        siblings = [other for other in read[0].users if other in group and other in pieces]
        for near in (*read, *(s for s in siblings if pieces[s].inputs[0] is read[0])):
            if near in group and level[near] == level[node]:
                _join(group, near, node)
    found = {id(members): members for members in group.values()}.values()
    return [
        sorted(members, key=place.__getitem__)
        for members in found
        if any(pieces[node].layer is not None for node in members)
    ]


def _join(group: dict[fx.Node, list[fx.Node]], one: fx.Node, other: fx.Node) -> None:
    mine, theirs = group[one], group[other]
    if mine is theirs:
        return
    mine.extend(theirs)
    for node in theirs:
        group[node] = mine
