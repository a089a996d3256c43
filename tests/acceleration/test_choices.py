"""Choices as data: out, through JSON, in again, and refused where they are damaged."""

import copy
import json

import pytest
import torch
from torch import nn

from rarefy.acceleration._choices import apply_choices, choices
from rarefy.acceleration._swap import lane_of
from rarefy.errors import AttachError, FileError


@pytest.fixture
def chosen(mlp, x, hastened):
    """What was chosen, as it comes from a file."""
    return json.loads(json.dumps(choices(hastened(mlp, x))))


def test_a_model_runs_by_them_again_without_any_timing(mlp, x, chosen, monkeypatch):
    monkeypatch.setattr("rarefy.acceleration._time.Stopwatch.compare", None)
    found = apply_choices(mlp, chosen)
    assert lane_of(found).packs.plans
    assert type(mlp) is nn.Sequential
    for batch in (x, torch.randn(1, 8)):
        torch.testing.assert_close(found(batch), mlp(batch), rtol=1e-5, atol=1e-6)
    assert json.loads(json.dumps(found.record)) == chosen["record"]
    assert json.loads(json.dumps(choices(found))) == chosen


def test_they_hold_no_weights(chosen):
    assert chosen["version"] == 1
    assert [unit["path"] for unit in chosen["units"]] == [""]
    assert len(json.dumps(chosen["units"])) < 4000


def test_only_an_accelerated_model_has_them(mlp):
    with pytest.raises(AttachError, match="Sequential is no accelerated model"):
        choices(mlp)


def _version(data):
    data["version"] = 2


def _missing(data):
    del data["units"]


def _path(data):
    data["units"][0]["path"] = "elsewhere"


def _path_of_no_text(data):
    data["leaves"] = [{"path": ["0"], "precision": "float32", "at_once": True}]


def _no_layer(data):
    data["units"], data["leaves"] = [], [{"path": "1", "precision": "float32", "at_once": True}]


def _precision(data):
    data["units"], data["leaves"] = [], [{"path": "0", "precision": "int3", "at_once": True}]


def _arguments(data):
    data["units"][0]["arguments"]["more"] = data["units"][0]["arguments"]["input"]


def _program(data):
    chain = data["units"][0]["chains"][0]
    chain["program"] = chain["program"].replace("relu", "gelu")


def _record(data):
    del data["record"]["layers"]


@pytest.mark.parametrize(
    "damage",
    [
        _version,
        _missing,
        _path,
        _path_of_no_text,
        _no_layer,
        _precision,
        _arguments,
        _program,
        _record,
    ],
)
def test_damaged_ones_are_refused(mlp, chosen, damage):
    damaged = copy.deepcopy(chosen)
    damage(damaged)
    with pytest.raises(FileError):
        apply_choices(mlp, damaged)
    assert type(mlp) is nn.Sequential


def test_those_of_another_model_are_refused(chosen):
    with pytest.raises(FileError):
        apply_choices(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 5)), chosen)


@pytest.mark.parametrize(
    "line",
    [
        ["aten.from_file.default", ["anything"], {}],
        ["operator.attrgetter", ["__class__"], {}],
        ["chain", [1, {"l": [{"r": 0}]}], {}],
        ["attribute", [{"r": 0}], {}],
        ["attribute", ["0.elsewhere"], {}],
        ["operator.add", [1, 2], {"class": 1}],
        ["operator.add", [{"r": 99}, 2], {}],
    ],
)
def test_code_that_a_file_may_not_have_is_refused_and_no_weight_changes(mlp, chosen, line):
    before = copy.deepcopy(mlp.state_dict())
    chosen["units"][0]["script"]["lines"].append(line)
    with pytest.raises(FileError):
        apply_choices(mlp, chosen)
    assert all(torch.equal(mlp.state_dict()[key], value) for key, value in before.items())


class Products(nn.Module):
    """Has an operation that files may not have."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):  # noqa: D102
        return torch.cumprod(self.inner(x), 1)


def test_layers_run_one_by_one_where_a_file_may_not_have_the_code_around_them(mlp, x, hastened):
    model = Products(mlp)
    fast = hastened(model, x)
    assert fast.record["captured"] == [""]
    data = json.loads(json.dumps(choices(fast)))
    assert data["units"] == []
    assert {leaf["path"] for leaf in data["leaves"]} == {"inner.0", "inner.2"}
    found = apply_choices(model, data)
    assert lane_of(found) is None
    torch.testing.assert_close(found(x), model(x), rtol=1e-5, atol=1e-6)
    assert lane_of(found.inner[0]).packs.plans


def test_a_list_that_names_a_module_twice_is_refused(mlp, x, hastened):
    data = json.loads(json.dumps(choices(hastened(mlp, x))))
    data["units"] *= 2
    with pytest.raises(FileError, match="twice"):
        apply_choices(mlp, data)
