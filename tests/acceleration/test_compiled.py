"""Scripts as functions: hand-written lines, run beside the same in plain torch."""

import weakref

import pytest
import torch
from torch import nn

from rarefy.acceleration._compiled import compiled
from rarefy.acceleration._script import Line, Ref, Script


def no_chain(*_):
    raise AssertionError("no chain was asked for")


def test_lines_read_registers_parameters_and_plain_values():
    net = nn.Sequential(nn.Linear(3, 2))
    lines = (
        Line("attribute", ("0.weight",)),
        Line("attribute", ("0.bias",)),
        Line("aten.linear.default", (Ref(0), Ref(1), Ref(2))),
        Line("aten.gelu.default", (Ref(3),), {"approximate": "tanh"}),
        Line("aten.sum.dim_IntList", (Ref(4), [-1], True)),
    )
    run = compiled(Script(1, lines, [Ref(5), (Ref(4), None, 7)]), net, no_chain)
    x = torch.randn(4, 3)
    gelu = nn.functional.gelu(net(x), approximate="tanh")
    total, (found, none, seven) = run(net, x)
    assert torch.equal(found, gelu)
    assert torch.equal(total, gelu.sum(-1, keepdim=True))
    assert (none, seven) == (None, 7)


def test_another_module_of_the_same_make_can_be_run():
    one, other = nn.Linear(1, 1), nn.Linear(1, 1)
    run = compiled(Script(0, (Line("attribute", ("weight",)),), [Ref(0)]), one, no_chain)
    assert run(other)[0] is other.weight


def test_tensors_that_tracing_made_are_found_beside_the_parameters():
    net = nn.Linear(1, 1)
    vars(net)["_rarefy_constants"] = {"lifted": torch.ones(2)}
    run = compiled(Script(0, (Line("attribute", ("lifted",)),), [Ref(0)]), net, no_chain)
    assert run(net)[0].tolist() == [1, 1]


def test_chains_are_called_with_their_number_and_inputs():
    def chain(module, number, inputs):
        return [module, number, *inputs]

    lines = (Line("chain", (4, [Ref(1), Ref(0)])), Line("operator.getitem", (Ref(2), 1)))
    run = compiled(Script(2, lines, [Ref(2), Ref(3)]), None, chain)
    assert run("net", "a", "b") == [["net", 4, "b", "a"], 4]


class Thing:
    """Something that tells when it is gone."""


def test_a_register_is_dropped_after_it_is_read_for_the_last_time():
    made = []

    def chain(_module, number, _inputs):
        if number == 2:
            assert made[0]() is None
            assert made[1]() is not None
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    lines = (
        Line("chain", (0, [])),
        Line("chain", (1, [Ref(0)])),
        Line("chain", (2, [])),
        Line("chain", (3, [Ref(1)])),
    )
    compiled(Script(0, lines, [Ref(3)]), None, chain)(None)
    assert len(made) == 4


@pytest.mark.parametrize("text", ["'); raise SystemExit; ('", "\n  import os", "{0}", "é\\"])
def test_words_of_the_script_are_never_part_of_the_code(text):
    lines = (Line("operator.add", (text, text)),)
    assert compiled(Script(0, lines, [Ref(0)]), nn.Linear(1, 1), no_chain)(None) == [text + text]
    with pytest.raises(ValueError, match="is no name of an argument"):
        compiled(Script(0, (Line("operator.add", (), {text: 1}),), []), None, no_chain)


def test_constants_that_are_equal_but_of_two_types_are_kept_apart():
    lines = (Line("operator.add", (1.0, 0.5)), Line("operator.getitem", ([True, 1, 1.0], slice(1))))
    run = compiled(Script(0, lines, [Ref(0), Ref(1), -0.0, 0.0]), None, no_chain)
    total, cut, minus, zero = run(None)
    assert (total, cut, str(minus), str(zero)) == (1.5, [True], "-0.0", "0.0")
