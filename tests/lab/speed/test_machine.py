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
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0, 0), raising=False)
    assert machine()["busy"] is True
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0, 0))
    assert machine()["busy"] is False
    monkeypatch.delattr(os, "getloadavg")
    assert (machine()["busy"], machine()["load"]) == (False, None)


def test_a_package_that_is_not_there_has_no_version():
    assert version_of("no-such-package-at-all") is None


def test_flags_are_those_that_tell(monkeypatch):
    monkeypatch.setattr(
        _machine, "_cpuinfo", lambda word: "fpu avx2 sse" if word == "flags" else ""
    )
    assert _machine.cpu_flags() == ["avx2"]


def test_caches_hold_data():
    assert all(name.startswith("L") and size for name, size in caches().items())
