"""Scores by rows are those of the whole weight."""

import pytest
import torch

from rarefy import growth
from rarefy.patterns import Block, Unstructured
from rarefy.training import _arrivals
from rarefy.training._arrivals import Arriving, by_chance, by_gradient
from rarefy.training._tiles import tiles_of

SHAPE = (1, 12, 10, 3)
NEAR = growth.Neighbours(outputs=(4, 3), inputs=(2, 5), wrap=(True, False))
PATTERNS = [Unstructured(), Block(2, 5), Block(4, 1)]


def arriving(rule, pattern, gradient=None, survivors=None):
    nothing = torch.empty(0, dtype=torch.int64)
    rows = None if gradient is None else lambda a, b: gradient[a:b].reshape(b - a, -1).clone()
    return Arriving(
        tiles_of(pattern, SHAPE),
        rule,
        torch.Generator().manual_seed(4),
        nothing if survivors is None else survivors,
        rows,
    )


def together(parts):
    """All scores, and the rows at which parts begin."""
    listed = list(parts)
    return torch.cat([scores for _, scores, _ in listed]), [first for first, *_ in listed]


@pytest.mark.parametrize("chunk", [1, 60, 100, 1 << 20])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_chance(monkeypatch, pattern, chunk):
    monkeypatch.setattr(_arrivals, "CHUNK", chunk)
    found, firsts = together(arriving(growth.Random(), pattern).parts())
    assert torch.equal(found, torch.rand(SHAPE[1:], generator=torch.Generator().manual_seed(4)))
    rows = tiles_of(pattern, SHAPE).rows
    assert firsts[0] == 0
    assert len(firsts) > 1  # never all rows at once
    assert all(first % rows == 0 for first in firsts)


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_gradients(monkeypatch, pattern, chunk):
    monkeypatch.setattr(_arrivals, "CHUNK", chunk)
    gradient = torch.randn(SHAPE[1:])
    parts = list(arriving(growth.Gradient(), pattern, gradient).parts())
    assert torch.equal(torch.cat([scores for _, scores, _ in parts]), gradient.abs())
    assert torch.equal(torch.cat([beside for *_, beside in parts]), gradient)


@pytest.mark.parametrize("wrap", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("outputs", [(4, 3), (12, 1), (1, 12), (2, 6)])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_neighbours(monkeypatch, pattern, outputs, wrap):
    monkeypatch.setattr(_arrivals, "CHUNK", 60)
    torch.manual_seed(0)
    rule = growth.Neighbours(outputs=outputs, inputs=(2, 5), wrap=wrap)
    living = torch.rand(SHAPE) < 0.3
    survivors = living.flatten().nonzero().squeeze(1)
    found, _ = together(arriving(rule, pattern, survivors=survivors).parts())
    assert torch.equal(found, rule.arrivals(living, torch.Generator().manual_seed(4))[0])


def test_without_a_gradient_nothing_says_where_to_grow():
    assert list(arriving(growth.Gradient(), Unstructured()).parts()) == []


def test_rules_are_known_by_what_they_do():
    def steep(gradient):
        return gradient.square()

    steep.elementwise = True
    assert by_chance(growth.Random(share=0.1))
    assert not by_chance(growth.Gradient())
    assert by_gradient(growth.Gradient())
    assert by_gradient(growth.Growth(arrivals=steep))
    assert not by_gradient(growth.Momentum())
    assert not by_gradient(NEAR)
