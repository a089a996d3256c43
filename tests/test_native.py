"""The compiled library: which kernels run, why, and what happens when it is not there."""

import ctypes
import os
import subprocess
import sys

import pytest

from rarefy import _native
from rarefy.errors import UnknownName

PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64)
SAY = "from rarefy import _native as n; print(n.kernel_set()); print(n.status())"
here = _native.kernel_set() != "reference"
needs_native = pytest.mark.skipif(not here, reason="the library is not installed, or not asked for")


def say(kernels=None):
    environment = {k: v for k, v in os.environ.items() if k != "RAREFY_KERNELS"}
    if kernels is not None:
        environment["RAREFY_KERNELS"] = kernels
    return subprocess.run(
        [sys.executable, "-c", SAY], check=False, capture_output=True, text=True, env=environment
    )


@pytest.fixture
def fresh(monkeypatch):
    """A module that has loaded nothing yet, put back afterwards."""
    monkeypatch.setattr(_native, "_kernels", {})
    monkeypatch.setattr(_native, "_disabled", {})
    monkeypatch.delenv("RAREFY_KERNELS", raising=False)
    _native._load.cache_clear()
    yield monkeypatch
    _native._load.cache_clear()


@pytest.mark.skipif(
    not os.environ.get("RAREFY_REQUIRE_NATIVE"), reason="an installation without it is allowed here"
)
@pytest.mark.native
def test_the_library_is_there_where_it_is_required():
    assert here
    assert _native.names()


@needs_native
@pytest.mark.native
def test_the_best_set_runs():
    answer = say()
    assert answer.stdout.splitlines()[0] == _native.sets()[0]
    assert "compiled kernels" in answer.stdout


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("kernel_set", _native.sets())
def test_each_set_that_runs_here_can_be_asked_for(kernel_set):
    assert say(kernel_set).stdout.splitlines()[0] == kernel_set


def test_the_reference_can_be_asked_for():
    assert say("reference").stdout.splitlines() == [
        "reference",
        "reference kernels: RAREFY_KERNELS asks for them",
    ]


@pytest.mark.parametrize("wrong", ["fast", "", "V4"])
def test_an_unknown_set_is_one_clear_error(fresh, wrong):
    fresh.setenv("RAREFY_KERNELS", wrong)
    with pytest.raises(UnknownName, match=r"reference, generic, v3, v4, v4n"):
        _native.kernel_set()


def test_a_set_that_does_not_run_here_is_one_clear_error(fresh):
    fresh.setenv("RAREFY_KERNELS", "v4")
    fresh.setattr(_native, "_strings", lambda _: ("generic",))
    with pytest.raises(UnknownName, match="asks for 'v4', which does not run here"):
        _native.kernel_set()


def test_without_the_library_the_reference_runs(fresh):
    fresh.setattr(_native, "_FILE", {sys.platform: "no_such_file"})
    assert _native.kernel_set() == "reference"
    assert "without its compiled library" in _native.status()
    assert _native.sets() == _native.names() == ()
    assert _native.kernel("topk_mark_f32", PROTOTYPE, lambda _: True) is None


def test_a_broken_library_is_a_missing_one(fresh):
    fresh.setattr(_native, "_FILE", {sys.platform: "py.typed"})
    assert _native.kernel_set() == "reference"
    assert "could not be loaded" in _native.status()


@needs_native
@pytest.mark.native
def test_a_library_of_another_version_is_not_used(fresh):
    fresh.setattr(_native, "ABI", 999)
    assert _native.kernel_set() == "reference"
    assert "wanted 999" in _native.status()


@needs_native
@pytest.mark.native
@pytest.mark.usefixtures("fresh")
def test_a_kernel_that_disagrees_is_switched_off_once_and_said_so():
    asked = []
    for _ in range(2):
        found = _native.kernel("topk_mark_f32", PROTOTYPE, lambda k: asked.append(k))
        assert found is None
    assert len(asked) == 1
    assert "topk_mark_f32" in _native.status()
    assert "switched off" in _native.status()


@needs_native
@pytest.mark.native
def test_an_unknown_kernel_is_named_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"no kernel 'spmm'.*topk_mark_f32.*generic"):
        _native.kernel_of("spmm", "generic", PROTOTYPE)


@needs_native
@pytest.mark.native
@pytest.mark.usefixtures("fresh")
def test_a_function_of_the_library_is_found_and_checked_once():
    prototype, asked = ctypes.CFUNCTYPE(ctypes.c_int), []
    found = _native.function("rarefy_abi", prototype, lambda f: asked.append(f) or True)
    assert found() == _native.ABI
    assert _native.function("rarefy_abi", prototype) is found
    assert len(asked) == 1
    assert _native.function("rarefy_no_such_function", prototype) is None


@needs_native
@pytest.mark.native
@pytest.mark.usefixtures("fresh")
def test_a_function_that_disagrees_is_switched_off():
    found = _native.function("rarefy_abi", ctypes.CFUNCTYPE(ctypes.c_int), lambda _: False)
    assert found is None
    assert "rarefy_abi" in _native.status()
    assert "so its reference runs" in _native.status()


def test_without_the_library_there_is_no_function(fresh):
    fresh.setattr(_native, "_FILE", {sys.platform: "no_such_file"})
    assert _native.function("rarefy_abi", ctypes.CFUNCTYPE(ctypes.c_int)) is None


def test_a_reason_can_be_told(fresh):
    fresh.setattr(_native, "_FILE", {sys.platform: "no_such_file"})
    _native.switch_off("a chain", "it has a step that is not there")
    first, second = _native.status().splitlines()
    assert "without its compiled library" in first
    assert second.endswith("so its reference runs: it has a step that is not there")


def test_a_forked_process_is_told_by_its_number(monkeypatch):
    assert not _native.forked()
    monkeypatch.setattr(_native, "_HOME", -1)
    assert _native.forked()
