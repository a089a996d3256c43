"""Dense weights that only chains read go; all others stay, in memory of their own."""

import pickle

import pytest
import torch
from torch import nn

from rarefy.acceleration._lean import LeanWeight


@pytest.fixture
def wide(thinned):
    torch.manual_seed(0)
    return thinned(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)))


@pytest.fixture
def rows():
    return torch.randn(3, 64)


def test_weights_of_chains_keep_their_packed_bytes_alone(wide, rows, hastened):
    fast = hastened(wide, rows)
    assert [type(fast[place].weight) for place in (0, 2)] == [LeanWeight, LeanWeight]
    assert torch.allclose(fast(rows), wide(rows), atol=1e-5)
    ours = {b.untyped_storage().data_ptr(): b for b in fast.buffers()}
    for place in (0, 2):  # the same memory as the chain's: packed once
        start = fast[place].weight.data_ptr()
        assert any(p <= start < p + b.numel() for p, b in ours.items())


def test_nothing_is_shared_with_the_model_it_was_made_from(wide, rows, hastened):
    fast = hastened(wide, rows)
    theirs = {p.data_ptr() for p in wide.parameters()}
    assert not theirs & {p.data_ptr() for p in fast.parameters()}
    before = fast(rows).detach().clone()
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.zero_()
    assert torch.equal(fast(rows).detach(), before)


def test_state_dict_is_dense_and_equal(wide, rows, hastened):
    found = hastened(wide, rows).state_dict()
    assert list(found) == list(wide.state_dict())
    for name, values in wide.state_dict().items():
        assert not isinstance(found[name], LeanWeight)
        assert torch.equal(found[name], values)


def test_a_pickle_holds_each_weight_once(wide, rows, hastened):
    assert len(pickle.dumps(hastened(wide, rows))) < 4 * 2 * 64 * 64


def test_a_weight_that_an_embedding_shares_stays(thinned, hastened):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
            self.head.weight = self.table.weight

        def forward(self, ids):
            return self.head(self.table(ids))

    model, ids = thinned(Tied()), torch.tensor([[1, 2], [3, 4]])
    fast = hastened(model, ids)
    assert not isinstance(fast.table.weight, LeanWeight)
    assert fast.table.weight is fast.head.weight
    assert torch.allclose(fast(ids), model(ids), atol=1e-5)


def test_a_weight_that_stays_dense_is_no_lean_one(wide, rows, hastened):
    with torch.no_grad():
        wide[2].weight.fill_(1.0)
    fast = hastened(wide, rows, goal="memory")
    assert isinstance(fast[0].weight, LeanWeight)
    assert not isinstance(fast[2].weight, LeanWeight)
