"""Captured code as lines: registers in order, chains in their place, names that find back."""

import pickle

import pytest
import torch
from torch import fx

from rarefy.acceleration._script import Call, Line, Ref, Script, operation, script
from rarefy.acceleration._trace import Uncapturable

ATEN = torch.ops.aten


@pytest.fixture
def graph():
    return fx.Graph()


def test_registers_are_the_inputs_and_then_a_line_each(graph):
    x = graph.placeholder("x")
    weight = graph.get_attr("fc.weight")
    product = graph.call_function(ATEN.mul.Tensor, (x, weight))
    total = graph.call_function(ATEN.sum.dim_IntList, (product, [0, 1]), {"dtype": torch.float64})
    found = script([weight, product, total], {}, [x], [total, None, (x, 3)])
    assert found == Script(
        1,
        (
            Line("attribute", ("fc.weight",)),
            Line("aten.mul.Tensor", (Ref(0), Ref(1))),
            Line("aten.sum.dim_IntList", (Ref(2), [0, 1]), {"dtype": torch.float64}),
        ),
        [Ref(3), None, (Ref(0), 3)],
    )
    assert pickle.loads(pickle.dumps(found)) == found


def test_what_nobody_reads_is_left_out_but_writes_stay(graph):
    x = graph.placeholder("x")
    idle = graph.call_function(ATEN.exp.default, (x,))
    write = graph.call_function(ATEN.relu_.default, (x,))
    found = script([idle, write], {}, [x], [x])
    assert [line.target for line in found.lines] == ["aten.relu_.default"]


def test_a_chain_stands_for_its_nodes_and_each_output_has_a_register(graph):
    x = graph.placeholder("x")
    a = graph.call_function(ATEN.relu.default, (x,))
    b = graph.call_function(ATEN.exp.default, (a,))
    found = script([(a, b)], {(a, b): Call(4, [x], [a, b])}, [x], [b, a])
    assert found.lines == (
        Line("chain", (4, [Ref(0)])),
        Line("operator.getitem", (Ref(1), 0)),
        Line("operator.getitem", (Ref(1), 1)),
    )
    assert found.outputs == [Ref(3), Ref(2)]


def test_what_has_no_name_is_not_captured(graph):
    x = graph.placeholder("x")
    own = graph.call_function(lambda t: t, (x,))
    with pytest.raises(Uncapturable, match="no plain operation"):
        script([own], {}, [x], [own])
    method = graph.call_method("relu", (x,))
    with pytest.raises(Uncapturable):
        script([method], {}, [x], [method])
    odd = graph.call_function(ATEN.mul.Tensor, (x, object()))
    with pytest.raises(Uncapturable, match="object"):
        script([odd], {}, [x], [odd])


def test_operations_are_found_by_their_names():
    assert operation("aten.relu.default") is ATEN.relu.default
    assert operation("operator.add")(2, 3) == 5
    assert operation("torch.sym_max")(2, 3) == 3
    for name in (
        "aten.no_such.default",
        "aten.relu",
        "operator.nothing",
        "torch.load",
        "os.system",
    ):
        with pytest.raises(Uncapturable, match="no operation"):
            operation(name)
