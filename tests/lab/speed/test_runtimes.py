"""The table of runtimes."""

import pytest
import torch
from torch import nn

from rarefy.errors import MissingExtra, UnknownName
from rarefy.lab.speed import Prepared, Runtime, runtime_of, runtimes


def test_every_way_that_is_claimed_is_there():
    assert [runtime.name for runtime in runtimes()] == [
        "rarefy",
        "rarefy kernels",
        "torch",
        "onnxruntime",
        "openvino",
        "torch csr",
        "scipy",
        "deepsparse",
    ]


def test_an_unknown_one_is_refused_with_what_there_is():
    with pytest.raises(UnknownName, match=r"no runtime 'tvm'\. There are: rarefy, "):
        runtime_of("tvm")


def test_torch_needs_nothing():
    assert runtime_of("torch").missing() == []


def odd():
    return Runtime(
        "odd",
        lambda _, __, threads, precision: Prepared(lambda: (threads, precision)),
        packages=("torch", "no_such_package"),
        beside={"int8": ("none_either",)},
    )


def test_what_is_not_installed_is_named():
    assert odd().missing() == ["no_such_package"]
    assert odd().missing("int8") == ["no_such_package", "none_either"]
    with pytest.raises(MissingExtra, match=r"odd needs .*: pip install no_such_package"):
        odd().prepare(nn.ReLU(), torch.ones(1), 1, "float32")


def test_a_precision_it_does_not_have_is_refused():
    with pytest.raises(UnknownName, match=r"odd has no 'int8' here. It has: float32"):
        odd().check("int8")


def test_threads_and_precision_reach_it():
    runtime = Runtime("x", odd().prepare_, precisions=("int8",))
    assert runtime.prepare(nn.ReLU(), torch.ones(1), 3, "int8").call() == (3, "int8")
