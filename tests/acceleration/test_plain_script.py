"""Captured code survives the way to JSON and back; code that files may not have is refused."""

import json

import pytest
import torch

from rarefy.acceleration._plain_script import Unstorable, read, script_data, script_of, told, whole
from rarefy.acceleration._script import Line, Ref, Script
from rarefy.errors import FileError

VALUES = [
    None, True, 7, "same", 0.1, float("-inf"), Ref(3), [1, [Ref(0)]], (1, None), slice(None, 3, 2),
    torch.int8, torch.device("cpu"), torch.strided, torch.channels_last,
]  # fmt: skip
SCRIPT = Script(
    1,
    (
        Line("attribute", ("a.weight",)),
        Line("aten.linear.default", (Ref(0), Ref(1))),
        Line("aten.gelu.default", (Ref(2),), {"approximate": "tanh"}),
        Line("chain", (0, [Ref(3)])),
        Line("operator.getitem", (Ref(4), 0)),
    ),
    [Ref(5), None],
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value):
    found = read(json.loads(json.dumps(told(value), allow_nan=False)))
    assert found == value
    assert type(found) is type(value)


def test_other_values_are_not_stored():
    for value in (torch.zeros(1), object(), {1: 2}, 1j):
        with pytest.raises(Unstorable):
            told(value)


@pytest.mark.parametrize(
    "data",
    [
        {"q": 1},
        {"d": "__class__"},
        {"v": "cuda"},
        {"f": []},
        {"r": -1},
        {"s": [1, 2, 3, 4]},
        {},
        [1],
        1.5,
    ],
    ids=repr,
)
def test_data_that_tell_no_value_are_refused(data):
    with pytest.raises(FileError, match="damaged"):
        read(data)


def test_whole_numbers_have_a_range_and_truth_is_none():
    assert whole(3, 3) == 3
    for value in (4, -1, True, 2.0, "2"):
        with pytest.raises(FileError):
            whole(value, 3)


def test_code_comes_back_equal():
    assert script_of(json.loads(json.dumps(script_data(SCRIPT))), 1) == SCRIPT


@pytest.mark.parametrize(
    "line",
    [
        ["os.system.default", ["true"], {}],
        ["aten.from_file.default", ["name"], {}],
        ["operator.attrgetter", ["a"], {}],
        ["attribute", [1], {}],
        ["chain", [1, {"l": []}], {}],
        ["chain", [-1, {"l": []}], {}],
        ["aten.relu.default", [{"r": 1}], {}],
        ["aten.relu.default", [{"l": [{"t": [{"r": 1}]}]}], {}],
        ["aten.relu.default", [{"r": 0}], {"a b": 1}],
    ],
    ids=repr,
)
def test_a_hostile_line_is_refused(line):
    with pytest.raises(FileError, match="damaged"):
        script_of({"inputs": 1, "lines": [line], "outputs": {"l": []}}, 1)


def test_outputs_are_a_list_of_what_was_made():
    for outputs in ({"l": [{"r": 1}]}, {"r": 0}):
        with pytest.raises(FileError):
            script_of({"inputs": 1, "lines": [], "outputs": outputs}, 0)


def test_what_a_file_may_not_have_is_not_written():
    with pytest.raises(Unstorable):
        script_data(Script(0, (Line("aten.from_file.default", ("name",)),), []))
