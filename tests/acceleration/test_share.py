"""Where the time of a call goes; the parts are those of one watched call."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._share import _watched, share
from rarefy.acceleration._swap import lane_of


@pytest.fixture
def fast(mlp, x, hastened):
    return hastened(mlp, x)


def test_whole_calls_are_told_by_the_stopwatch_and_chains_by_their_module(fast, x, sparse_wins):
    found = share(fast, x, sparse_wins)
    assert (found.dense, found.fast) == (1.0, 0.1)
    assert set(found.by) == {""}
    assert found.sparse == found.by[""]
    assert found.sparse > 0
    assert found.rest > 0
    assert found.adds_up > 0


def test_the_dense_call_runs_no_chain(fast, x):
    calls = {}

    class Keep:
        def compare(self, given):
            calls.update(given)
            return dict.fromkeys(given, 1.0)

    share(fast, x, Keep())
    with _watched(fast) as spent:
        calls["dense"]()
        assert spent == {}
        with torch.no_grad():
            calls["fast"]()
        assert set(spent) == {""}


def test_the_plans_are_as_before_even_after_an_error(fast):
    plans = lane_of(fast).packs.plans
    with pytest.raises(RuntimeError), _watched(fast):  # noqa: PT012 - what raises is the body
        assert lane_of(fast).packs.plans is not plans
        raise RuntimeError
    assert lane_of(fast).packs.plans is plans


def test_a_model_without_chains_is_all_rest(x, sparse_wins):
    found = share(nn.Linear(8, 2), x, sparse_wins)
    assert (found.sparse, found.by) == (0.0, {})
    assert found.rest > 0
