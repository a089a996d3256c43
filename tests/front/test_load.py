"""``rarefy.load`` of files with and without choices."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy import files
from rarefy.errors import FileError, TargetError


class Fast(nn.Linear):
    """Looks like what accelerating returns."""

    record = {"goal": "latency"}  # noqa: RUF012

    def explain(self):  # noqa: D102
        return "sparse"


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the room that accelerates, and notes what it was asked to apply."""
    calls = []

    def apply_choices(model, choices):
        calls.append((model, dict(choices)))
        fast = Fast(4, 4)
        fast.load_state_dict(model.state_dict())
        return fast

    monkeypatch.setattr("rarefy.acceleration.apply_choices", apply_choices, raising=False)
    return calls


@pytest.fixture
def saved(tmp_path):
    model = nn.Linear(4, 4)
    files.save(model, tmp_path / "fast", choices={"goal": "memory"})
    return model, tmp_path / "fast"


def test_choices_are_applied_to_what_was_loaded(saved, asked):
    model, path = saved
    fresh = nn.Linear(4, 4)
    found = rarefy.load(path, fresh)
    assert asked == [(fresh, {"goal": "memory"})]
    assert isinstance(found, Fast)
    for one in (found, fresh):
        assert torch.equal(one.weight, model.weight)


def test_without_choices_it_is_the_model_itself(asked, tmp_path):
    model, fresh = nn.Linear(4, 4), nn.Linear(4, 4)
    rarefy.save(model, tmp_path / "plain")
    assert rarefy.load(tmp_path / "plain", fresh) is fresh
    assert torch.equal(fresh.weight, model.weight)
    assert not asked


def test_an_accelerated_model_keeps_its_own(saved, asked):
    model, path = saved
    fast = Fast(4, 4)
    assert rarefy.load(path, fast) is fast
    assert torch.equal(fast.weight, model.weight)
    assert not asked


def test_what_does_not_fit_is_refused_before_anything_is_asked(saved, asked):
    with pytest.raises(FileError, match="another model"):
        rarefy.load(saved[1], nn.Linear(4, 5))
    with pytest.raises(TargetError, match="Swap"):
        rarefy.load(nn.Linear(4, 4), saved[1])
    assert not asked
