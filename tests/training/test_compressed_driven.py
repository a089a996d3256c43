"""Compressed and masked storage are one run: topology, weights, optimizer state, history."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import rarefy
from rarefy import growth
from rarefy.errors import InvariantError, ScoreError

OPTIMIZERS = ["sgd", "adamw", "adam", "rmsprop", "adagrad", "subclass"]
NEAR = growth.Neighbours(outputs=(4, 4), inputs=(3, 4), wrap=(False, True))
RULES = {
    "set": ("set", {}),
    "rigl": ("rigl", {}),
    "neighbours": ("set", {"growth": NEAR, "only": "0.*"}),
    "neighbours, blocks": ("set", {"growth": NEAR, "only": "0.*", "pattern": "block 2x1"}),
    "set, blocks": ("set", {"pattern": "block 2x2"}),
    "rigl, blocks": ("rigl", {"pattern": "block 2x2"}),
    "rigl, rows": ("rigl", {"pattern": "row"}),
    "rigl, taylor": ("rigl", {"score": "taylor"}),
    "set, taylor": ("set", {"score": "taylor"}),
    "set, dropped by chance": ("set", {"score": "random"}),
    "rigl, normal": ("rigl", {"growth": growth.Gradient(start="normal", decay="constant")}),
}


def assert_same(masked, compressed):
    for step, (one, other) in enumerate(zip(masked[3], compressed[3], strict=True)):
        assert all(torch.equal(one[n], other[n]) for n in one), f"topology at step {step}"
    state = compressed[2].dense_state_dict()
    assert list(state) == list(masked[0].state_dict())
    for name, wanted in masked[0].state_dict().items():
        assert torch.allclose(state[name], wanted, rtol=0, atol=1e-9), name
    for one, other in zip(masked[2].history, compressed[2].history, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert any("churn" in record for record in masked[2].history)


@pytest.mark.parametrize("slack", [0.0, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_every_growth_rule_gives_what_masked_storage_gives(twins, rule, slack):
    method, given = RULES[rule]
    compressed = twins.run("compressed", method, slack=slack, **given)
    assert_same(twins.run("masked", method, **given), compressed)
    compressed[2].check()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_every_optimizer_gives_what_masked_storage_gives(twins, rule, optimizer):
    masked, compressed = (twins.run(word, rule, optimizer, 80) for word in ("masked", "compressed"))
    assert_same(masked, compressed)
    storages = compressed[2].storages()
    for name, weight in masked[2].weights().items():
        values = compressed[2].weights()[name]
        dense, slots = masked[1].state[weight], compressed[1].state[values]
        assert set(dense) == set(slots)
        for key, wanted in twins.flat(dense):
            found = dict(twins.flat(slots))[key]
            if wanted.shape == weight.shape:
                wanted = wanted.flatten()[storages[name].places()]
            assert torch.allclose(found, wanted, rtol=0, atol=1e-9), key


def test_a_convolution_moves_as_well(twins):
    def model():
        with torch.random.fork_rng():
            torch.manual_seed(1)
            made = nn.Sequential(
                nn.Unflatten(1, (3, 2, 2)),
                nn.Conv2d(3, 6, 3, padding=1),
                nn.Tanh(),
                nn.Flatten(),
                nn.Linear(24, 4),
            )
        return made.to(torch.float64)

    for rule in ("set", "rigl"):
        given = {"steps": 60, "when": "every 5 until 75%"}
        masked = twins.run("masked", rule, model=model(), **given)
        assert_same(masked, twins.run("compressed", rule, model=model(), **given))


# -- gradients


def test_micro_batches_are_summed_and_what_was_begun_anew_counts_no_more(twins):
    """Two passes a step; before some, a pass whose gradient is thrown away."""

    def trained(storage):
        model = twins.net()
        optimizer = twins.optimizers["sgd"](model.parameters())
        sparsifier = rarefy.sparsify(
            model,
            0.75,
            "rigl",
            optimizer=optimizer,
            steps=40,
            when="every 5",
            seed=3,
            storage=storage,
        )
        for number, batch in enumerate(twins.batches(40)):
            for seed in range(3):
                twins.loss(model, twins.batches(1, seed=100 * number + seed)[0]).backward()
                if seed == 0:
                    optimizer.zero_grad(set_to_none=bool(number % 2))
            optimizer.step()
            optimizer.zero_grad(set_to_none=bool(number % 3))
            del batch
        return model, sparsifier

    (model, masked), (_, compressed) = trained("masked"), trained("compressed")
    assert all(torch.equal(masked.masks[n], compressed.masks[n]) for n in masked.masks)
    for name, found in compressed.dense_state_dict().items():
        assert torch.allclose(found, model.state_dict()[name], rtol=0, atol=1e-9)


def test_passes_are_recorded_only_where_an_exchange_looks_at_them(twins):
    model = twins.net()
    optimizer = twins.optimizers["adamw"](model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.75, "rigl", optimizer=optimizer, steps=20, when="every 5", storage="compressed"
    )
    fed = []
    for batch in twins.batches(12):
        optimizer.zero_grad()
        twins.loss(model, batch).backward()
        passes = {each.recorded_passes() for each in sparsifier.storages().values()}
        assert len(passes) == 1
        fed.append(passes.pop())
        optimizer.step()
    assert fed == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_stops_the_run_by_name(twins, odd):
    model = twins.net()
    optimizer = twins.optimizers["adamw"](model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.75, "set", optimizer=optimizer, steps=20, when="every 5", storage="compressed"
    )
    for batch in twins.batches(4):
        optimizer.zero_grad()
        twins.loss(model, batch).backward()
        optimizer.step()
    before, masks = copy.deepcopy(model.state_dict()), sparsifier.masks
    optimizer.zero_grad()
    twins.loss(model, twins.batches(1)[0]).backward()
    model[2].weight_values.grad[3] = odd
    with pytest.raises(ScoreError, match=r"2\.weight: 1 of 38 gradients are NaN or infinite"):
        optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(sparsifier.masks[n], masks[n]) for n in masks)
    assert sparsifier.step == 4


def test_large_gradients_are_numbers(twins):
    model = twins.net()
    optimizer = SGD(model.parameters(), lr=0.0)
    rarefy.sparsify(model, 0.75, "static", optimizer=optimizer, storage="compressed")
    twins.loss(model, twins.batches(1)[0]).backward()
    model[0].weight_values.grad[:] = 1e308  # the sum is infinite
    optimizer.step()


def test_a_step_that_a_scaler_skips_is_no_error(twins):
    model = twins.net().float()
    optimizer = AdamW(model.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cpu")
    sparsifier = rarefy.sparsify(model, 0.75, "static", optimizer=optimizer, storage="compressed")
    scaler.scale(twins.loss(model, twins.batches(1)[0].float())).backward()
    model[0].weight_values.grad[0] = float("inf")
    scaler.step(optimizer)
    scaler.update()
    assert sparsifier.step == 0


# -- slots in reserve


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_slots_in_reserve_stay_zero(twins, optimizer):
    model, made, sparsifier, _ = twins.run("compressed", "rigl", optimizer, steps=40, slack=0.5)
    for storage in sparsifier.storages().values():
        values = storage.weight_values
        assert values.numel() > storage.count()
        for key, tensor in [*twins.flat(made.state[values]), ("values", values.detach())]:
            if tensor.shape == values.shape:
                assert not tensor[storage.count() :].any(), key
    with torch.no_grad():
        model[0].weight_values[-1] = 1.0
    with pytest.raises(InvariantError, match=r"0\.weight: 1 slots in reserve are not zero"):
        sparsifier.check()
    sparsifier.hold()
    sparsifier.check()
