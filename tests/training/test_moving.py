"""The tensors of one compressed weight, moved from one topology to the next."""

import pytest
import torch
from torch import nn

from rarefy.layers import SparseLinear
from rarefy.training._commit import commit
from rarefy.training._moving import Moving
from rarefy.training._slot_exchange import Exchanged


def layer():
    mask = torch.zeros(40, 50, dtype=torch.bool)
    mask.view(-1)[::3] = True
    made = SparseLinear(50, 40, mask=mask, slack=0.1)
    with torch.no_grad():
        made.weight_values[: made.count()] = made.places().float() + 1
    return made


@pytest.mark.parametrize("known", [True, False])
def test_survivors_keep_their_values_and_newcomers_start_as_told(known):
    made = layer()
    optimizer = torch.optim.AdamW([made.weight_values])
    state = {key: made.weight_values.detach() * n for n, key in enumerate(("a", "b"), 2)}
    optimizer.state[made.weight_values] = {"step": torch.tensor(3.0), **state}
    made.weight_values.grad = made.weight_values.detach() * 9
    old = made.places()
    stay, come = old[old % 2 == 0], torch.tensor([1, 2, 700, 1_999])
    gradient = torch.tensor([0.1, 0.2, 0.3, 0.4])
    slots = torch.cat([(old % 2 == 0).nonzero().squeeze(1), torch.full((4,), -1)])
    told = slots if known else None
    moving = Moving(made, Exchanged(torch.cat([stay, come]), told, gradient))
    assert torch.equal(moving.born.places.sort().values, come)
    start = moving.born.places.float() / 1_000
    moves = moving.moves([optimizer], start)
    assert torch.equal(made.places(), old)  # prepared, and not done yet
    assert commit(moves) is None
    dense = torch.zeros(2_000)
    dense[stay] = stay.float() + 1
    kept = dense.clone()
    dense[come] = come.float() / 1_000
    assert torch.equal(made.dense_weight().flatten(), dense)
    for n, key in enumerate(("a", "b"), 2):
        assert torch.equal(seen(made, optimizer.state[made.weight_values][key]), kept * n)
    assert optimizer.state[made.weight_values]["step"] == 3
    kept *= 9
    kept[come] = gradient
    assert torch.equal(seen(made, made.weight_values.grad), kept)
    for each in (made.weight_values, made.weight_values.grad):
        assert not each[made.count() :].any()


def seen(made, values):
    dense = torch.zeros(2_000)
    dense[made.places()] = values.detach()[: made.count()]
    return dense


def test_what_returns_in_the_round_that_dropped_it_is_not_born():
    made = layer()
    places = made.places()
    slots = torch.arange(places.numel()).flip(0)
    moving = Moving(made, Exchanged(places.flip(0), slots, torch.ones(5)))
    assert moving.born.slots.numel() == 0
    before = made.weight_values.detach().clone()
    made.weight_values.grad = before.clone()
    commit(moving.moves([], None))
    assert torch.equal(made.weight_values.detach(), before)
    assert torch.equal(made.weight_values.grad, before)


def test_fewer_places_leave_slots_in_reserve():
    made = layer()
    few = made.places()[:7]
    parameter, capacity = made.weight_values, made.weight_values.numel()
    commit(Moving(made, Exchanged(few)).moves([], None))
    assert made.weight_values is parameter
    assert parameter.numel() == capacity
    assert made.count() == 7
    assert not parameter[7:].any()
    assert isinstance(parameter, nn.Parameter)
