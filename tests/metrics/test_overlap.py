"""Overlap of masks by hand."""

import pytest
import torch

from rarefy.errors import TargetError
from rarefy.metrics import Overlap, churn, jaccard, overlap


def mask(text):
    return torch.tensor([letter == "#" for letter in text])


def test_weight_by_weight_and_together():
    before = {"a": mask("##.."), "b": mask("####")}
    after = {"a": mask("#.#."), "b": mask("##..")}
    assert overlap(before, after) == {"a": Overlap(2, 2, 1), "b": Overlap(4, 2, 2)}
    assert churn(before, after) == pytest.approx(3 / 6)
    assert jaccard(before, after) == pytest.approx(3 / 7)


def test_equal_and_empty_masks():
    assert churn({"a": mask("#.")}, {"a": mask("#.")}) == 0
    assert jaccard({"a": mask("#.")}, {"a": mask("#.")}) == 1
    assert (churn({"a": mask("..")}, {"a": mask("..")}), jaccard({}, {})) == (0, 1)


def test_masks_of_different_models_are_refused():
    with pytest.raises(TargetError, match="only one has a, b"):
        overlap({"a": mask("#")}, {"b": mask("#")})
    with pytest.raises(TargetError, match="a: mask of shape"):
        overlap({"a": mask("#")}, {"a": mask("##")})
