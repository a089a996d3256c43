"""Slots arranged by the library are those that plain torch arranges."""

import pytest
import torch

from rarefy import _native
from rarefy.errors import PatternError
from rarefy.kernels import Topology
from rarefy.kernels._arrange import arrange

needs_library = pytest.mark.skipif(_native.kernel_set() == "reference", reason="no library")


@needs_library
@pytest.mark.parametrize("blocks", [(30, 30), (1, 32), (7, 5)])
@pytest.mark.parametrize("shape", [(1, 1), (30, 61), (100, 7), (65, 200)])
def test_the_library_and_torch_agree(shape, blocks, monkeypatch):
    torch.manual_seed(0)
    rows, columns = shape
    places = torch.randperm(rows * columns)[: rows * columns // 2 + 1]
    own, own_order = Topology.arranged(rows, columns, places, None, blocks)
    monkeypatch.setattr(_native, "function", lambda *_: None)
    plain, plain_order = Topology.arranged(rows, columns, places, None, blocks)
    assert torch.equal(own.buffer, plain.buffer)
    assert torch.equal(own_order, plain_order)


@pytest.mark.parametrize("has_library", [True, False])
def test_a_place_given_twice_is_refused(has_library, monkeypatch):
    if not has_library:
        monkeypatch.setattr(_native, "function", lambda *_: None)
    with pytest.raises(PatternError, match="given twice"):
        Topology.of_places(40, 40, torch.tensor([3, 900, 5, 900]))


def test_no_memory_is_said(monkeypatch):
    monkeypatch.setattr(_native, "function", lambda *_: lambda *_: 2)
    starts, positions = torch.zeros(2, dtype=torch.int32), torch.zeros(1, dtype=torch.int16)
    with pytest.raises(MemoryError, match="1 slots"):
        arrange((1, 1, 30, 30), torch.zeros(1, dtype=torch.int64), starts, positions)


def test_without_a_library_there_is_nothing(monkeypatch):
    monkeypatch.setattr(_native, "function", lambda *_: None)
    empty = torch.zeros(1, dtype=torch.int64)
    assert arrange((1, 1, 30, 30), empty, empty.int(), empty.short()) is None
