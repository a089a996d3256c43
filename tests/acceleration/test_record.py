"""The record: everything in plain data, with numbers that add up."""

import json

import pytest
import torch
from torch import nn

from rarefy.acceleration import _record
from rarefy.acceleration._share import Share
from rarefy.acceleration._timings import machine


@pytest.fixture
def record(mlp, x, hastened):
    return hastened(mlp, x).record


def test_it_is_plain_data(record):
    assert json.loads(json.dumps(record)) == record


def test_it_says_what_was_asked_for_and_where(record):
    assert (record["goal"], record["precision"], record["margin"]) == ("latency", "float32", 0.1)
    assert (record["batch"], record["threads"]) == (3, torch.get_num_threads())
    assert record["machine"] == machine()
    assert record["accuracy"] is None


def test_flops_of_sparse_layers_are_all_of_this_net(record, mlp):
    # Two layers of 8 x 16 and 16 x 4 for three rows, two operations a weight.
    assert record["flops"]["sparse"] == 2 * 3 * (8 * 16 + 16 * 4)
    left = sum(int(torch.count_nonzero(layer.weight)) for layer in (mlp[0], mlp[2]))
    assert record["flops"]["skipped"] == record["flops"]["sparse"] - 2 * 3 * left
    assert 0.9 < record["flops"]["share"] <= 1


def test_bytes_of_dense_parameters_and_of_weights_that_went(thinned, hastened):
    model = thinned(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)))
    size = hastened(model, torch.randn(2, 64)).record["bytes"]
    assert size["let_go"] == 2 * 64 * 64 * 4
    assert size["parameters"] == 2 * 64 * 4  # the biases
    assert 0 < size["packed"] < size["let_go"]


def test_shares_of_time_add_up(record):
    found = _record._time(
        Share(dense=4.0, fast=2.0, sparse=1.5, rest=0.3, adds_up=0.9, by={"a": 1.5})
    )
    assert found["share"] == pytest.approx(1.5 / 1.8)
    assert found["adds_up_to"] == 0.9
    assert set(record["time"]) == set(found)
    assert _record._time(Share(0.0, 0.0, 0.0, 0.0, 1.0, {}))["share"] == 0.0
