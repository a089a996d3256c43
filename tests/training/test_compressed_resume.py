"""A compressed run that was killed goes on as if it had not been."""

import io
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import AdamW

import rarefy
from rarefy.errors import InvariantError, StateError

WIDE = torch.float64


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10))
    return made.to(WIDE)


def batches(count):
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(8, 12, generator=generator).to(WIDE) for _ in range(count)]


def start(method="set", storage="compressed", model=None, **given):
    model = net() if model is None else model
    optimizer = AdamW(model.parameters(), lr=1e-2)
    words = {"steps": 60, "when": "every 5 until 75%"} if method in ("set", "rigl") else {}
    sparsifier = rarefy.sparsify(
        model, 0.75, method, optimizer=optimizer, seed=3, storage=storage, **words | given
    )
    return model, optimizer, sparsifier


def train(model, optimizer, data):
    for batch in data:
        optimizer.zero_grad()
        (model(batch) - batch[:, :10].sin()).square().mean().backward()
        optimizer.step()


def parts(made):
    buffer = io.BytesIO()
    torch.save([each.state_dict() for each in made], buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


ORDERS = [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)]


@pytest.mark.parametrize("slack", [0.0, 0.4])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["set", "rigl"])
@pytest.mark.parametrize("cut", [5, 7])
def test_killed_and_resumed_is_uninterrupted(method, order, cut, slack):
    data = batches(30)
    whole = start(method, slack=slack)
    train(*whole[:2], data)
    first = start(method, slack=slack)
    train(*first[:2], data[:cut])
    saved = parts(first)
    del first
    again = start(method, slack=slack)
    for place in order:
        again[place].load_state_dict(saved[place])
    train(*again[:2], data[cut:])
    for one, other in zip(parts(whole), parts(again), strict=True):
        assert_equal(one, other)
    again[2].check()


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        for each, same in zip(one, other, strict=True):
            assert_equal(each, same)
    else:
        assert one == other


def test_resumed_after_pruning_by_hand():
    data = batches(20)
    whole = start()
    train(*whole[:2], data[:6])
    whole[2].prune(0.9)
    saved = parts(whole)
    train(*whole[:2], data[6:])
    again = start()
    for made, state in zip(again, saved, strict=True):
        made.load_state_dict(state)
    train(*again[:2], data[6:])
    assert_equal(parts(whole), parts(again))


def test_a_model_that_was_not_loaded_is_noticed_at_the_next_step():
    first = start()
    train(*first[:2], batches(7))
    saved = parts(first)
    model, optimizer, sparsifier = start()
    sparsifier.load_state_dict(saved[2])
    with pytest.raises(InvariantError, match=r"0\.weight has .* Load the model, the optimizer"):
        train(model, optimizer, batches(1))
    model.load_state_dict(saved[0])
    train(model, optimizer, batches(1))


def test_a_state_of_another_run_is_refused():
    made, other = start(), start("rigl")
    with pytest.raises(StateError, match="method"):
        made[2].load_state_dict(other[2].state_dict())


PROGRAM = """
import sys, torch, rarefy
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.Tanh(), torch.nn.Linear(96, 32))
model.double()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
sparsifier = rarefy.sparsify(model, 0.8, "rigl", optimizer=optimizer, steps=40, when="every 5",
    seed=1, storage="compressed", fully_sparse=True)
generator = torch.Generator().manual_seed(5)
for _ in range(24):
    batch = torch.randn(16, 64, generator=generator).double()
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    optimizer.step()
    if sys.argv[2] and sparsifier.step == 12:
        torch.set_num_threads(int(sys.argv[2]))
from rarefy.communication._agree import checksum
print(checksum(sparsifier.masks))
"""


def test_on_another_number_of_threads_the_topology_is_the_same():
    def run(*threads):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *threads], check=True, capture_output=True, text=True
        )
        return done.stdout

    assert run("1", "") == run("2", "") == run("1", "2")
