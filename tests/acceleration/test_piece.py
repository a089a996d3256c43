"""What the pieces have in common: plain tensors, arguments by name, pairs."""

import pytest
import torch
from torch import fx

from rarefy.acceleration._piece import Unfit, arguments, pair_of, plain_float

ATEN = torch.ops.aten


def node(target, *args, val=None, **kwargs):
    made = fx.Graph().call_function(target, args, kwargs)
    made.meta["val"] = val
    return made


@pytest.mark.parametrize(
    ("val", "fits"),
    [
        (torch.zeros(2, 3), True),
        (torch.zeros(2, 3, dtype=torch.float64), False),
        (torch.zeros(2, 3, device="meta"), False),
        (torch.zeros(()), False),
        (torch.zeros(1, 1, 1, 1, 1, 1, 1), False),
        ((torch.zeros(2),), False),
        (None, False),
    ],
)
def test_a_chain_takes_float32_on_the_cpu_of_one_to_six_sides(val, fits):
    assert plain_float(node(ATEN.relu.default, val=val)) is fits


def test_what_writes_is_not_plain():
    assert not plain_float(node(ATEN.relu_.default, val=torch.zeros(2)))


def test_arguments_have_their_names_and_defaults():
    found = arguments(node(ATEN.max_pool2d.default, 1, [2, 2], padding=[1, 1]))
    assert found["kernel_size"] == [2, 2]
    assert found["padding"] == [1, 1]
    assert found["stride"] == []
    assert found["ceil_mode"] is False


def test_a_pair_is_told_by_one_or_two_whole_numbers():
    assert pair_of(3) == pair_of([3]) == pair_of((3, 3)) == (3, 3)
    assert pair_of([1, 2]) == (1, 2)
    for given in ([1, 2, 3], [1.0, 2.0], []):
        with pytest.raises(Unfit):
            pair_of(given)
