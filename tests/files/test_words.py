"""The words of prune_file."""

import pytest

from rarefy import allocation, scores
from rarefy.errors import EvidenceError, UnknownName
from rarefy.files._words import allocation_of, score_of


def test_scores_that_need_the_weight_alone():
    assert score_of("magnitude") is scores.magnitude
    assert score_of(scores.random) is scores.random
    with pytest.raises(EvidenceError, match="taylor needs weight, gradient, and a file has only"):
        score_of("taylor")
    with pytest.raises(UnknownName, match="Did you mean 'magnitude'"):
        score_of("magnitud")


def test_allocations():
    assert allocation_of("global") is allocation.global_
    assert allocation_of(allocation.lamp) is allocation.lamp
    assert isinstance(allocation_of({".*": 0.5}), allocation.ByName)
    with pytest.raises(UnknownName, match="no 'globl'"):
        allocation_of("globl")
