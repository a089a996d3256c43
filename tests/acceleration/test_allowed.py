"""What captured code from a file may do, and what it must never do."""

import operator

import pytest
import torch

from rarefy.acceleration._allowed import ATEN, OPERATORS, allowed


@pytest.mark.parametrize("name", ["attribute", "chain", "operator.getitem", "aten.linear.default"])
def test_plain_operations_may_be_stored(name):
    assert allowed(name)


@pytest.mark.parametrize(
    "name",
    [
        "aten.from_file.default",
        "aten.as_strided.default",
        "aten.set_.source_Tensor",
        "aten.resize_.default",
        "aten.empty.memory_format",
        "aten.new_empty.default",
        "aten.zeros_like.out",
        "aten.relu.out",
        "aten.linear",
        "aten.linear.default.more",
        "aten",
        "",
        "operator.attrgetter",
        "operator.methodcaller",
        "operator.setitem",
        "operator.getitem.more",
        "rarefy.chain.default",
        "torch.load",
        "os.system",
        "ATEN.linear.default",
        "chain.default",
    ],
)
def test_anything_else_may_not(name):
    assert not allowed(name)


def test_every_listed_operation_is_one_of_torch_and_none_writes_by_its_name():
    assert [name for name in ATEN if not hasattr(torch.ops.aten, name)] == []
    assert [name for name in OPERATORS if not hasattr(operator, name)] == []
    writing = [name for name in ATEN if name.endswith("_") and not name.endswith("__")]
    assert writing == []
