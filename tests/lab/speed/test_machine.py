"""The description of the machine."""

import json
import os

import torch

from rarefy import _native
from rarefy.lab.speed import _machine, caches, machine, version_of


def test_it_is_plain_data_and_true():
    found = json.loads(json.dumps(machine(), allow_nan=False))
    assert found["kernel_set"] == _native.kernel_set()
    assert found["versions"]["torch"] == version_of("torch") != torch.__doc__
    assert found["cores"] >= 1
    assert found["cpu"]


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr(_machine, "load_of_others", lambda: 1.2)
    assert (machine()["busy"], machine()["load"]) == (True, 1.2)
    monkeypatch.setattr(_machine, "load_of_others", lambda: 0.1)
    assert machine()["busy"] is False
    monkeypatch.setattr(_machine, "load_of_others", lambda: None)
    assert (machine()["busy"], machine()["load"]) == (False, None)


def test_the_load_is_what_others_worked_meanwhile(monkeypatch):
    worked, clock = iter([10.0, 10.75]), iter([1.0, 1.5])
    monkeypatch.setattr(_machine, "_worked", lambda: next(worked))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert _machine.load_of_others() == 1.5


def test_without_a_count_it_is_the_mean_of_a_minute(monkeypatch):
    monkeypatch.setattr(_machine, "_worked", lambda: None)
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0, 0), raising=False)
    assert _machine.load_of_others() == 3.0
    monkeypatch.delattr(os, "getloadavg")
    assert _machine.load_of_others() is None


def test_a_package_that_is_not_there_has_no_version():
    assert version_of("no-such-package-at-all") is None


def test_flags_are_those_that_tell(monkeypatch):
    monkeypatch.setattr(
        _machine, "_cpuinfo", lambda word: "fpu avx2 sse" if word == "flags" else ""
    )
    assert _machine.cpu_flags() == ["avx2"]


def test_caches_hold_data():
    assert all(name.startswith("L") and size for name, size in caches().items())
