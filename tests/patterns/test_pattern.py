"""What patterns share: counts from sparsities, and shapes refused."""

import pytest
import torch

from rarefy.errors import BudgetError, PatternError
from rarefy.patterns import Block, NofM, Row, Unstructured

SCORES = torch.tensor([[4.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])


def test_of_keeps_the_best_of_all():
    assert Unstructured().of(SCORES, 0.75).tolist() == [
        [True, False, False, False],
        [False, False, False, True],
    ]


def test_of_a_pattern_with_a_sparsity_of_its_own_takes_none():
    with pytest.raises(BudgetError, match="2:4 fixes the sparsity: give none"):
        NofM(2, 4).of(SCORES, 0.5)


def test_of_needs_a_sparsity_otherwise():
    with pytest.raises(BudgetError, match="row needs a sparsity"):
        Row().of(SCORES)


@pytest.mark.parametrize("sparsity", [1.0, 90, -0.5])
def test_of_takes_a_sparsity_only(sparsity):
    with pytest.raises(BudgetError, match=r"in \[0, 1\)"):
        Unstructured().of(SCORES, sparsity)


def test_of_wants_a_matrix():
    with pytest.raises(PatternError, match=r"outputs x inputs; found scores of shape \(4,\)"):
        Unstructured().of(torch.ones(4), 0.5)


def test_only_patterns_with_a_density_fix_it():
    assert [p.density for p in (Unstructured(), Row(), Block(2, 2))] == [None] * 3
    assert NofM(1, 4).density == 0.25
