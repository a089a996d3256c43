"""Regions and single nodes in an order that can run, writes in their place."""

import pytest
import torch
from torch import fx

from rarefy.acceleration._order import in_order, written
from rarefy.acceleration._trace import Uncapturable

ATEN = torch.ops.aten


def chain(*steps):
    """A graph of one input ``x`` and named steps of (operation, names read)."""
    graph = fx.Graph()
    nodes = {"x": graph.placeholder("x")}
    for name, target, *read in steps:
        nodes[name] = graph.call_function(target, tuple(nodes[r] for r in read))
    return nodes


def test_a_region_runs_where_its_last_node_stood_and_after_what_it_reads():
    n = chain(
        ("a", ATEN.relu.default, "x"), ("s", ATEN.sigmoid.default, "x"),
        ("b", ATEN.add.Tensor, "a", "s"), ("e", ATEN.exp.default, "b"),
    )  # fmt: skip
    nodes = [n[name] for name in "asbe"]
    found = in_order(nodes, [[n["a"], n["b"]]], {})
    assert found == [n["s"], (n["a"], n["b"]), n["e"]]


def test_without_regions_the_order_is_the_graphs():
    n = chain(("a", ATEN.relu.default, "x"), ("b", ATEN.exp.default, "x"))
    assert in_order([n["a"], n["b"]], [], {}) == [n["a"], n["b"]]


def test_a_reader_stays_before_the_write_and_the_next_one_after_it():
    graph = fx.Graph()
    made = graph.call_function(ATEN.zeros.default, ([2],))
    reads = graph.call_function(ATEN.exp.default, (made,))
    write = graph.call_function(ATEN.relu_.default, (made,))
    after = graph.call_function(ATEN.exp.default, (made,))
    nodes = [made, reads, write, after]
    assert in_order(nodes, [], {}) == nodes
    # Told apart, they have to keep their places; the write lies between the two.
    with pytest.raises(Uncapturable, match="writes in place"):
        in_order(nodes, [[reads, after]], {})
    assert in_order([made, reads, after], [[reads, after]], {}) == [made, (reads, after)]


def test_what_a_region_does_not_read_does_not_hold_it_up():
    n = chain(("p", ATEN.exp.default, "x"), ("a", ATEN.add.Tensor, "x", "p"))
    nodes = [n["p"], n["a"]]
    region = [[n["a"], n["p"]]]
    assert in_order(nodes, region, {n["a"]: [n["x"]]}) == [tuple(region[0])]


def test_views_of_what_is_written_are_written_and_others_are_not():
    n = chain(
        ("m", ATEN.sigmoid.default, "x"), ("v", ATEN.t.default, "m"), ("o", ATEN.exp.default, "m"),
        ("w", ATEN.relu_.default, "v"),
    )  # fmt: skip
    assert written([n[name] for name in "mvow"]) == {n["m"], n["v"], n["w"]}
    assert written([n["m"], n["v"], n["o"]]) == set()


def test_what_is_written_may_be_an_argument_of_the_unit():
    n = chain(("r", ATEN.relu_.default, "x"), ("l", ATEN.neg.default, "r"))
    assert written([n["r"], n["l"]]) == {n["r"]}
    assert in_order([n["r"], n["l"]], [], {}) == [n["r"], n["l"]]
