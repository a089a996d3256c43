"""The demonstration's networks on our kernels alone."""

from types import SimpleNamespace

import torch

from rarefy.lab import _fast
from rarefy.lab._fast import on_kernels


def planned(*, compiled):
    """Stands in for plans; every call of one is kept."""
    called = []
    plan = SimpleNamespace(
        compiled=compiled, run=lambda x: called.append((x, torch.get_num_threads()))
    )
    return called, lambda *_: plan


def test_each_is_timed_in_turns_on_one_thread(tiny, monkeypatch):
    called, make = planned(compiled=True)
    monkeypatch.setattr(_fast, "plan_of", make)
    found = on_kernels({"dense": tiny.build(), "gmp": tiny.build()}, tiny.example(3))
    assert list(found) == ["dense", "gmp"]
    assert len(found["dense"].times) == len(found["gmp"].times) >= 5
    assert (found["gmp"].threads, found["gmp"].batch) == (1, 3)
    assert {threads for _, threads in called} == {1}
    assert all(x.shape == (3, 6) for x, _ in called)


def test_without_compiled_kernels_there_is_nothing_to_time(tiny, monkeypatch):
    called, make = planned(compiled=False)
    monkeypatch.setattr(_fast, "plan_of", make)
    assert on_kernels({"dense": tiny.build()}, tiny.example()) == {}
    assert not called


def test_the_plans_are_those_of_the_networks(tiny):
    found = on_kernels({"dense": tiny.build()}, tiny.example())
    assert set(found) <= {"dense"}
