"""The library runs on torch's threads where it can."""

import subprocess
import sys

import pytest

from rarefy import _native
from rarefy.kernels._runtime import is_here
from rarefy.kernels._threads import settle_threads


@pytest.fixture
def offered(monkeypatch):
    """What is offered to a library of paper, which takes the second."""
    names, forgets = [], []
    paper = {
        "rarefy_pool_borrow": lambda name: names.append(name) or len(names) == 2,
        "rarefy_pool_after_fork_child": lambda: None,
    }
    monkeypatch.setattr(_native, "function", lambda name, *_: paper.get(name))
    monkeypatch.setattr("os.register_at_fork", lambda **given: forgets.append(given), raising=False)
    monkeypatch.setattr("torch.__file__", "none/torch/__init__.py")
    settle_threads.cache_clear()
    yield names, forgets, paper
    settle_threads.cache_clear()


def test_the_first_library_that_has_threads_is_taken(offered, monkeypatch):
    monkeypatch.setattr("torch.backends.openmp.is_available", lambda: True)
    names, forgets, _ = offered
    settle_threads()
    settle_threads()
    assert names == [b"libiomp5.so", b"libgomp.so.1"]
    assert len(forgets) == 1


def test_without_openmp_in_torch_none_are_borrowed(offered, monkeypatch):
    monkeypatch.setattr("torch.backends.openmp.is_available", lambda: False)
    names, forgets, _ = offered
    settle_threads()
    assert names == []
    assert len(forgets) == 1


@pytest.mark.parametrize("how", ["fork", "multiprocessing"])
def test_a_forked_process_takes_the_library_s_own(offered, monkeypatch, how):
    monkeypatch.setattr("torch.backends.openmp.is_available", lambda: True)
    if how == "fork":
        monkeypatch.setattr(_native, "forked", lambda: True)
    else:
        monkeypatch.setattr("multiprocessing.parent_process", lambda: "someone")
        monkeypatch.setattr("multiprocessing.get_start_method", lambda **_: "fork")
    names, _, _ = offered
    settle_threads()
    assert names == []


def test_a_spawned_process_borrows(offered, monkeypatch):
    monkeypatch.setattr("torch.backends.openmp.is_available", lambda: True)
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "someone")
    monkeypatch.setattr("multiprocessing.get_start_method", lambda **_: "spawn")
    names, _, _ = offered
    settle_threads()
    assert len(names) == 2


def test_without_a_library_there_is_nothing_to_settle(offered):
    names, forgets, paper = offered
    paper.clear()
    settle_threads()
    assert names == forgets == []


RUN = """
import os, torch, rarefy.kernels as k
threads = lambda: len(os.listdir("/proc/self/task"))
torch.set_num_threads(2)
torch.randn(2000, 200) @ torch.randn(200, 200)
before = threads()
lines = ["rarefy 1", "input r0 rank=2", "linear r1 r0 w=0:512x512 b=-", "output r1"]
plan = k.Plan(k.join([k.pack(torch.eye(512))]), chr(10).join(lines))
x = torch.randn(4096, 512)
assert plan.compiled and torch.allclose(plan.run(x)[0], x)
assert threads() == before, (threads(), before)
"""


@pytest.mark.native
@pytest.mark.skipif(not is_here(), reason="the library does not run chains")
@pytest.mark.skipif(sys.platform != "linux", reason="threads are borrowed on Linux")
def test_a_plan_starts_no_threads_beside_those_of_torch():
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
