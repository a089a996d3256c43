"""The masks as a read-only mapping, and what they zero."""

import copy

import pytest
import torch

from rarefy.masks import MaskSet

KEPT = torch.tensor([[True, False], [False, True], [True, True]])


def masks():
    return MaskSet({"a": KEPT.clone(), "b": torch.tensor([False, True])})


def test_it_reads_as_a_mapping_in_the_order_given():
    assert list(masks()) == ["a", "b"]
    assert len(masks()) == 2
    assert torch.equal(masks()["a"], KEPT)


def test_it_counts():
    assert (masks().size, masks().kept) == (8, 5)
    assert masks().sparsity == pytest.approx(3 / 8)
    assert repr(masks()) == "MaskSet(2 weights, 5 of 8 kept)"


def test_no_weights_are_not_sparse():
    assert MaskSet({}).sparsity == 0.0


def test_writing_into_a_mask_changes_nothing():
    held = masks()
    held["a"].fill_(False)
    assert torch.equal(held["a"], KEPT)


def test_writing_into_what_it_was_made_of_changes_nothing():
    given = KEPT.clone()
    held = MaskSet({"a": given})
    given.fill_(False)
    assert torch.equal(held["a"], KEPT)


def test_it_takes_no_assignment():
    with pytest.raises(TypeError, match="item assignment"):
        masks()["a"] = KEPT


def test_removed_is_the_other_side():
    assert torch.equal(masks().removed("a", torch.device("cpu")), ~KEPT)


def test_applying_zeroes_the_removed_and_leaves_the_rest_to_the_bit():
    weight = torch.tensor([[1.0, float("nan")], [float("inf"), -0.0], [3.0, 4.0]])
    masks().apply_({"a": weight, "b": torch.ones(2)})
    assert torch.equal(weight, torch.tensor([[1.0, 0.0], [0.0, 0.0], [3.0, 4.0]]))
    assert weight[1, 1].signbit()


def test_applying_works_on_leaves_that_need_gradients():
    weight = torch.nn.Parameter(torch.ones(3, 2))
    masks().apply_({"a": weight, "b": torch.ones(2)})
    assert weight.sum() == 4
    assert weight.grad_fn is None


def test_a_copy_is_its_own():
    held = masks()
    assert torch.equal(copy.deepcopy(held)["a"], held["a"])
