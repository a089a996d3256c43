"""``rarefy.save`` of models that are accelerated, and of others."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import TargetError
from rarefy.files import read
from rarefy.front._save import seems_accelerated


class Fast(nn.Linear):
    """Looks like what accelerating returns."""

    record = {"goal": "latency"}  # noqa: RUF012

    def explain(self):  # noqa: D102
        return "sparse"


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the room that accelerates, and notes whom it was asked about."""
    models = []

    def choices(model):
        models.append(model)
        return {"layers": {"weight": "tiles"}}

    monkeypatch.setattr("rarefy.acceleration.choices", choices, raising=False)
    return models


def test_the_choices_go_with_the_masked_weights(asked, tmp_path):
    model = Fast(4, 4)
    with torch.no_grad():
        model.weight.tril_()
    rarefy.save(torch.compile(model, backend="eager"), tmp_path / "fast")
    contents = read(tmp_path / "fast")
    assert contents.choices == {"layers": {"weight": "tiles"}}
    assert contents.version == 2
    assert asked == [model]
    assert torch.equal(contents.tensors["weight"], model.weight)


def test_any_other_model_has_none(asked, tmp_path):
    rarefy.save(nn.Linear(4, 4), tmp_path / "plain")
    contents = read(tmp_path / "plain")
    assert (contents.choices, contents.version, asked) == (None, 1, [])


def test_what_only_looks_accelerated_is_saved_as_it_is(tmp_path):
    rarefy.save(Fast(4, 4), tmp_path / "a")
    assert read(tmp_path / "a").choices is None


def test_what_looks_accelerated():
    class Half(nn.Linear):
        def explain(self):
            return "by myself"

    assert seems_accelerated(Fast(2, 2))
    assert seems_accelerated(nn.DataParallel(Fast(2, 2)))
    assert not any(map(seems_accelerated, (nn.Linear(2, 2), Half(2, 2), "path", None)))


def test_swapped_arguments_are_told(asked, tmp_path):
    with pytest.raises(TargetError, match="Swap the two"):
        rarefy.save(tmp_path / "a", Fast(2, 2))
    assert not asked
