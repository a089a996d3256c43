"""What is known of a prepared call, and silence."""

import logging
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from rarefy.errors import TargetError
from rarefy.lab.speed._prepared import arrays_of, bytes_of, hushed, off_by, tensors_of


def test_examples_are_tensors_in_order():
    one, two = torch.ones(2), torch.arange(3)
    assert tensors_of(one) == (one,)
    assert tensors_of((one, two)) == (one, two)
    assert [array.dtype for array in arrays_of([one, two])] == [np.float32, np.int64]
    with pytest.raises(TargetError, match="found dict"):
        tensors_of({"x": one})


def test_arrays_share_the_memory_of_their_tensors():
    x = torch.zeros(3)
    arrays_of(x)[0][1] = 5
    assert x.tolist() == [0, 5, 0]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (torch.tensor([1.0, -4.0]), 0.0),
        (np.array([1.5, -4.0]), 0.125),
        ([torch.tensor([1.0, -5.0])], 0.25),
        (torch.tensor([1.0]), float("inf")),
        (torch.tensor([1.0, float("nan")]), float("inf")),
    ],
)
def test_a_difference_is_told_as_a_share_of_the_largest_value(found, wanted):
    assert off_by(found, torch.tensor([1.0, -4.0])) == wanted


def test_nothing_is_off_where_there_is_nothing():
    assert off_by(torch.empty(0, 3), torch.empty(0, 3)) == 0.0


def test_inside_nothing_is_said_and_afterwards_everything_again(capsys, caplog):
    with hushed():
        sys.stdout.write("noise")
        logging.getLogger("x").error("noise")
        warnings.warn("noise", stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    logging.getLogger("x").error("sound")
    assert caplog.messages == ["sound"]
    with pytest.warns(UserWarning, match="sound"):
        warnings.warn("sound", stacklevel=1)


def test_bytes_are_those_of_parameters_and_buffers():
    assert bytes_of(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))) == 4 * (8 + 4 + 4) + 8
