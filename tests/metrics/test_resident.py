"""The resident size of this process."""

import sys

import pytest
import torch

from rarefy.metrics import _resident, peak_resident, reset_peak, resident


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_what_was_taken_and_given_back_is_in_the_peak():
    reset_peak()
    before = resident()
    taken = torch.ones(64 << 20, dtype=torch.uint8)
    assert resident() > before + (60 << 20)
    del taken
    assert peak_resident() > before + (60 << 20)


def test_a_system_that_tells_nothing_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(_resident, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(_resident, "_CLEAR", tmp_path / "no" / "clear")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert (resident(), peak_resident(), reset_peak()) == (None, None, False)
