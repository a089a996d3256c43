"""``accelerated`` as a whole: right, honest, and without a trace on the model it was given."""

import copy
import json

import pytest
import torch
from torch import nn

from rarefy.acceleration import Stopwatch, accelerated
from rarefy.acceleration._build import undo
from rarefy.acceleration._swap import lane_of, plain_class
from rarefy.errors import AttachError, BudgetError, InvariantError, UnknownName


class Told(Stopwatch):
    """Dense takes one second; anything else a tenth, but for the names that are told."""

    def __init__(self, **seconds):
        super().__init__()
        self.told = {"dense": 1.0, **seconds}

    def compare(self, calls):  # noqa: D102
        return {name: self.told.get(name, 0.1) for name in calls}


def test_it_gives_the_same_and_leaves_the_model_as_it_was(mlp, x, hastened):
    mlp.train()
    before = copy.deepcopy(mlp.state_dict())
    made = hastened(mlp, x)
    for batch in (x, x[:1], torch.randn(7, 8)):
        torch.testing.assert_close(made(batch), mlp(batch), rtol=1e-5, atol=1e-6)
    assert type(mlp) is nn.Sequential
    assert mlp.training
    assert not made.training
    assert all(p.requires_grad for p in mlp.parameters())
    assert all(torch.equal(mlp.state_dict()[key], value) for key, value in before.items())
    assert [row["kept"] for row in made.record["layers"]] == [True, True]
    assert made.record["captured"] == [""]
    json.dumps(made.record)


def test_its_state_has_the_keys_and_values_of_the_model(mlp, x, hastened):
    found, wanted = hastened(mlp, x).state_dict(), mlp.state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_where_the_whole_call_is_slower_all_stays_dense(mlp, x):
    made = accelerated(mlp, x, stopwatch=Told(fast=1.5))
    assert not any(lane_of(module) for module in made.modules())
    assert not any(row["kept"] for row in made.record["layers"])
    assert made.record["captured"] == []
    assert any("0.67x dense" in note for note in made.record["notes"])
    assert torch.equal(made(x), mlp(x))


def test_a_goal_of_memory_keeps_what_is_slower_and_lets_dense_weights_go(mlp, x):
    made = accelerated(mlp, x, goal="memory", stopwatch=Told(fast=3.0, whole=5.0, float32=5.0))
    assert [row["kept"] for row in made.record["layers"]] == [True, True]
    assert made.record["bytes"]["let_go"] > 0
    torch.testing.assert_close(made(x), mlp(x), rtol=1e-5, atol=1e-6)


def test_a_dense_model_is_told_to_be_made_sparse(x, hastened):
    made = hastened(nn.Linear(8, 8), x)
    assert "rarefy.sparsify" in made.record["notes"][0]
    assert not made.record["layers"][0]["kept"]


@pytest.mark.parametrize("margin", [-0.1, 10, True, "a tenth", float("nan")])
def test_a_margin_must_be_a_share(mlp, x, margin):
    with pytest.raises(BudgetError, match="is no margin"):
        accelerated(mlp, x, margin=margin)


def test_a_goal_must_be_known(mlp, x):
    with pytest.raises(UnknownName, match="latency, memory"):
        accelerated(mlp, x, goal="speed")


def test_an_accelerated_model_is_not_accelerated_again(mlp, x, hastened):
    made = hastened(mlp, x)
    for again in (made, nn.Sequential(made)):
        with pytest.raises(AttachError, match="accelerated one already"):
            hastened(again, x)


def test_undo_takes_every_lane_out(mlp, x, hastened):
    made = hastened(mlp, x)
    assert lane_of(made) is not None
    undo(made)
    assert not any(lane_of(module) for module in made.modules())
    assert plain_class(made) is nn.Sequential
    assert torch.equal(made(x), mlp(x))


def test_a_whole_that_gives_something_else_is_refused(mlp, x, hastened, monkeypatch):
    answers = iter([False, True])  # not as the model, which itself is as before
    monkeypatch.setattr("rarefy.acceleration._build.close", lambda *_, **__: next(answers))
    with pytest.raises(InvariantError, match="gave something else for the example"):
        hastened(mlp, x)


def test_a_model_that_never_gives_the_same_is_not_compared(mlp, x, hastened, monkeypatch):
    monkeypatch.setattr("rarefy.acceleration._build.close", lambda *_, **__: False)
    made = hastened(mlp, x)
    assert any("does not give the same twice" in note for note in made.record["notes"])
    torch.testing.assert_close(made(x), mlp(x))


def test_an_example_of_one_row_does_not_pin_the_batch_to_one(mlp, x, hastened):
    made = hastened(mlp, x[:1])
    assert lane_of(made).accepts.values((x,), {}) is not None
    for batch in (x, x[:1], torch.randn(2, 8), torch.empty(0, 8)):
        torch.testing.assert_close(made(batch), mlp(batch), rtol=1e-5, atol=1e-6)


class Tied(nn.Module):
    """A head that shares the embedding's weight, and a layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.table, self.twice = nn.Embedding(12, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):  # noqa: D102
        return self.head(self.twice(self.twice(self.table(ids))))


def test_shared_weights_are_packed_once_and_stay_right(thinned, hastened):
    model = thinned(Tied())
    made = hastened(model, torch.zeros(1, 3, dtype=torch.int64))
    ids = torch.tensor([[1, 5, 11, 0], [2, 2, 3, 4]])
    torch.testing.assert_close(made(ids), model(ids), rtol=1e-5, atol=1e-5)
    assert made.head.weight is made.table.weight
    (chain,) = lane_of(made).packs.chains
    assert [r.kind for r in chain.recipes].count("weight") == 2
