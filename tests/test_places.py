"""Places are found and sorted as torch does it."""

import pytest
import torch

from rarefy._places import in_order, where


@pytest.mark.parametrize("size", [0, 1, 100])
def test_places_are_found(size):
    flags = torch.rand(size) < 0.5
    assert torch.equal(where(flags), flags.nonzero().squeeze(1))


@pytest.mark.parametrize("most", [50, 1 << 40, 1 << 61])
def test_keys_are_sorted_whatever_their_size(most):
    keys = torch.randint(most, (40,)).unique()
    shuffled = keys[torch.randperm(keys.numel())]
    found, where = in_order(shuffled)
    assert torch.equal(found, keys)
    assert torch.equal(shuffled[where], keys)
