"""The masks as a read-only mapping, and what they zero."""

import copy

import pytest
import torch

from rarefy.masks import MaskSet, PlacedMasks

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


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e5m2]
)
def test_clearing_is_exact_whatever_stood_there(dtype):
    torch.manual_seed(0)
    mask = torch.rand(7, 9) < 0.5
    tensor = torch.randn(7, 9).to(dtype)
    for place, odd in zip([(0, 0), (0, 1), (3, 3)], [torch.nan, torch.inf, -0.0], strict=True):
        tensor[place], mask[place] = odd, False
    tensor[6, 8], mask[6, 8] = torch.inf, True
    before = tensor.clone()
    MaskSet({"a": mask}).clear_("a", tensor)
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    assert torch.equal(tensor.view(words)[mask], before.view(words)[mask])
    assert not tensor.view(words)[~mask].any()


def test_clearing_follows_strides():
    mask = torch.rand(5, 6) < 0.5
    tensor = torch.randn(6, 5).T
    wanted = tensor * mask
    MaskSet({"a": mask}).clear_("a", tensor)
    assert torch.equal(tensor, wanted)


def test_masks_kept_as_places_are_masks():
    masks = {"a": torch.rand(3, 5) < 0.4, "b": torch.zeros(2, 2, dtype=torch.bool)}
    places = {
        name: (mask.flatten().nonzero().squeeze(1).flip(0).int(), tuple(mask.shape))
        for name, mask in masks.items()
    }
    found, wanted = PlacedMasks(places), MaskSet(masks)
    assert list(found) == ["a", "b"]
    assert len(found) == 2
    assert all(torch.equal(found[name], masks[name]) for name in masks)
    assert (found.kept, found.size, found.sparsity) == (wanted.kept, wanted.size, wanted.sparsity)
    assert repr(found) == repr(wanted)
    found["a"][:] = True  # a copy
    assert torch.equal(found["a"], masks["a"])
    assert torch.equal(found.removed("a", torch.device("cpu")), ~masks["a"])
    tensor = torch.ones(3, 5)
    found.clear_("a", tensor)
    assert torch.equal(tensor, masks["a"].float())
    assert PlacedMasks({}).sparsity == 0.0
