"""Models, masks and files that do not fit: named, and nothing changed."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import parametrize

import rarefy
from rarefy import errors


def spoil(model, kind):
    """Make the last weight one that cannot be sparsified."""
    if kind == "meta":
        model[4] = nn.Linear(10, 3, device="meta")
    elif kind == "fake":
        with FakeTensorMode():
            model[4] = nn.Linear(10, 3)
    elif kind == "lazy":
        model[4] = nn.LazyLinear(3)
    elif kind == "parametrized":
        parametrize.register_parametrization(model[4], "weight", nn.Identity())
    elif kind == "sparse":
        model[4].weight = nn.Parameter(torch.eye(3, 10).to_sparse())
    elif kind == "integer":
        model[4].weight = nn.Parameter(torch.ones(3, 10, dtype=torch.int32), requires_grad=False)
    else:
        with torch.no_grad():
            model[4].weight[1, 2] = kind


@pytest.mark.parametrize(
    "kind",
    ["meta", "fake", "lazy", "parametrized", "sparse", "integer", float("nan"), float("inf")],
)
@pytest.mark.parametrize("verb", [lambda model: rarefy.sparsify(model, 0.9), rarefy.hold])
def test_a_weight_that_cannot_be_sparsified_is_named(kind, verb, model, picture):
    spoil(model, kind)
    before = picture(model)
    with pytest.raises((errors.TargetError, errors.ScoreError), match=r"4\.weight .*skip=\['4\."):
        verb(model)
    assert picture(model) == before


@pytest.mark.parametrize("odd", [None, "model.pt", torch.ones(3, 3), {"weight": torch.ones(3)}])
@pytest.mark.parametrize("verb", [lambda model: rarefy.sparsify(model, 0.9), rarefy.hold])
def test_what_is_no_model(odd, verb):
    with pytest.raises(errors.TargetError, match=rf"torch\.nn\.Module; found {type(odd).__name__}"):
        verb(odd)


def test_a_model_without_weights():
    with pytest.raises(errors.TargetError, match="no weight to sparsify"):
        rarefy.sparsify(nn.Sequential(nn.ReLU(), nn.Embedding(3, 3)), 0.9)


MASKS = {
    "another model's": ({"body.weight": torch.ones(10, 6).bool()}, "no parameter 'body.weight'"),
    "a near name": ({"0.wieght": torch.ones(10, 6).bool()}, r"Did you mean '0\.weight'"),
    "another shape": (
        {"0.weight": torch.ones(6, 10).bool()},
        r"shape \(6, 10\); wanted.*\(10, 6\)",
    ),
    "numbers": ({"0.weight": torch.ones(10, 6)}, r"is torch\.float32.*True where"),
    "a list": ({"0.weight": [[True] * 6] * 10}, "is list; wanted"),
    "of a bias": ({"0.bias": torch.ones(10).bool()}, r"0\.bias"),
    "none": ({}, "no weight to sparsify"),
}


@pytest.mark.parametrize(("masks", "said"), MASKS.values(), ids=MASKS)
def test_masks_that_do_not_fit(masks, said, model, optimizer, picture):
    before = picture(model, optimizer)
    with pytest.raises(errors.TargetError, match=said):
        rarefy.hold(model, optimizer=optimizer, masks=masks)
    assert picture(model, optimizer) == before


def test_a_file_of_another_model(tmp_path, model, picture):
    other = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    rarefy.sparsify(other, 0.5)
    rarefy.save(other, tmp_path / "other.safetensors")
    before = picture(model)
    with pytest.raises(errors.FileError):
        rarefy.load(tmp_path / "other.safetensors", model)
    assert picture(model) == before
