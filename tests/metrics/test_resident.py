"""The resident size of this process."""

import mmap
import sys

import pytest

from rarefy.metrics import _resident, peak_resident, reset_peak, resident


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_what_was_taken_and_given_back_is_in_the_peak():
    reset_peak()
    before = resident()
    # Straight from the system: an allocator may hand out what the process has already.
    with mmap.mmap(-1, 64 << 20) as taken:
        taken[:] = b"1" * (64 << 20)
        assert resident() > before + (60 << 20)
    assert peak_resident() > before + (60 << 20)


def test_a_system_that_tells_nothing_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(_resident, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(_resident, "_CLEAR", tmp_path / "no" / "clear")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert (resident(), peak_resident(), reset_peak()) == (None, None, False)
