"""What a run writes down, and that it leaves global random state alone."""

import pytest
import torch
from torch.optim import SGD

import rarefy

STEPS = 24


def test_global_random_state_is_left_alone(lab):
    data = lab.batches(STEPS)
    for method in ("static", "set", "rigl", "snfs", "gmp"):
        model = lab.build()
        optimizer = SGD(model.parameters(), lr=0.1)
        before = torch.get_rng_state()
        rarefy.sparsify(model, 0.8, method, optimizer=optimizer, steps=STEPS, seed=5)
        lab.train(model, optimizer, data)
        assert torch.equal(torch.get_rng_state(), before), method


def test_without_a_seed_one_number_is_drawn(lab):
    torch.manual_seed(11)
    drawn = int(torch.empty((), dtype=torch.int64).random_())
    after = torch.get_rng_state()
    torch.manual_seed(11)
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.8, "random")
    assert torch.equal(torch.get_rng_state(), after)
    assert sparsifier.plan.seed == drawn
    again = lab.build()
    same = rarefy.sparsify(again, 0.8, "random", seed=drawn)
    assert all(torch.equal(same.masks[name], sparsifier.masks[name]) for name in same.masks)


def test_history_tells_what_happened(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.75, "rigl", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    masks = {0: sparsifier.masks}
    lab.train(
        model,
        optimizer,
        lab.batches(STEPS),
        lambda: masks.update({sparsifier.step: sparsifier.masks}),
    )
    sparsifier.log(loss=torch.tensor(1.5), epoch=3)
    records = {record["step"]: record for record in sparsifier.history}
    assert records[0]["sparsity"] == 0.75
    assert records[24]["loss"] == 1.5
    assert records[24]["epoch"] == 3.0
    for step in (4, 8, 12):
        old, new = masks[step], masks[step + 1]
        born = sum(int((new[name] & ~old[name]).sum()) for name in new)
        assert records[step]["churn"] == born / 98
        assert records[step]["sparsity"] == 0.75
    # the interval of a run of 24 steps is 5
    assert {s for s, r in records.items() if "gradient_norm" in r} == {0, 5, 10, 15, 20}


def test_the_recorded_norm_is_of_the_live_gradients(lab):
    model = lab.build(dtype=torch.float16)
    optimizer = SGD(model.parameters(), lr=0.0)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, seed=0)
    for name, weight in sparsifier.weights().items():
        weight.grad = torch.full_like(weight, 300.0)  # its square is beyond float16
        assert name
    optimizer.step()
    wanted = 300.0 * sparsifier.masks.kept**0.5
    assert sparsifier.history[0]["gradient_norm"] == pytest.approx(wanted, rel=1e-6)
