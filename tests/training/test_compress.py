"""From masked to compressed, in the middle of a run."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import StepLR

import rarefy
from rarefy.errors import AttachError, ScheduleError, TargetError
from rarefy.training import Sparsifier, sparsifier_of

WIDE = torch.float64


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10))
    return made.to(WIDE)


def train(model, optimizer, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        batch = torch.randn(8, 12, generator=generator).to(WIDE)
        optimizer.zero_grad()
        (model(batch) - batch[:, :10].sin()).square().mean().backward()
        optimizer.step()


def start(method="gmp", **given):
    model = net()
    groups = [
        {"params": [model[0].weight], "lr": 1e-2},
        {"params": [model[2].weight, model[0].bias, model[2].bias]},
    ]
    optimizer = AdamW(groups, lr=5e-3, weight_decay=1e-2)
    words = {"steps": 40, "when": "every 4 until 50%", "seed": 3} | given
    return model, optimizer, rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


@pytest.mark.parametrize("method", ["gmp", "set", "rigl"])
@pytest.mark.parametrize("at", [21, 24])
def test_the_run_goes_on_as_it_would_have(method, at):
    wanted, steps, masked = start(method, when="every 4 until 75%" if method != "gmp" else None)
    model, optimizer, early = start(method, when="every 4 until 75%" if method != "gmp" else None)
    if method == "gmp":
        at += 10  # the ramp ends at 30
    for one, each in ((wanted, steps), (model, optimizer)):
        train(one, each, at)
    sparsifier = early.compress()
    assert sparsifier_of(model) is sparsifier
    assert not early.attached
    assert sparsifier.step == at
    assert list(sparsifier.history) == list(early.history)
    for one, each in ((wanted, steps), (model, optimizer)):
        train(one, each, 40 - at, seed=1)
    assert all(torch.equal(masked.masks[n], m) for n, m in sparsifier.masks.items())
    for name, found in sparsifier.dense_state_dict().items():
        assert torch.allclose(found, wanted.state_dict()[name], rtol=0, atol=1e-9)
    sparsifier.finalize()


def test_groups_schedulers_and_state_are_kept():
    model, optimizer, sparsifier = start("static", steps=None, when=None)
    scheduler = StepLR(optimizer, 2, 0.5)
    train(model, optimizer, 3)
    scheduler.step()
    before = {n: (w, dict(optimizer.state[w])) for n, w in sparsifier.weights().items()}
    rates = [(g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups]
    compressed = sparsifier.compress(slack=0.25)
    assert [(g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups] == rates
    assert optimizer.param_groups[0]["params"][0] is model[0].weight_values
    assert optimizer.param_groups[1]["params"][0] is model[2].weight_values
    for name, storage in compressed.storages().items():
        old, state = before[name]
        assert old not in optimizer.state
        now = optimizer.state[storage.weight_values]
        assert now["step"] is state["step"]
        places, count = storage.places(), storage.count()
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(now[key][:count], state[key].flatten()[places])
            assert not now[key][count:].any()
        grad = storage.weight_values.grad
        assert torch.equal(grad[:count], old.grad.flatten()[places])
        assert storage.weight_values.numel() > count
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 5e-3


def test_a_ramp_that_has_not_ended_is_refused():
    model, optimizer, sparsifier = start()
    train(model, optimizer, 8)
    with pytest.raises(ScheduleError, match=r"gmp starts dense .* sparsifier\.compress\(\)"):
        sparsifier.compress()
    assert isinstance(model[0], nn.Linear)
    train(model, optimizer, 2)
    sparsifier.check()


def test_a_layer_that_stands_twice_is_compressed_once():
    shared = nn.Linear(8, 8)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(8, 4))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, steps=20, when="every 4", storage="compressed"
    )
    assert model[0] is model[2]
    assert sparsifier.aliases()["0.weight"] == ("0.weight", "2.weight")
    for _ in range(9):
        optimizer.zero_grad()
        model(torch.randn(6, 8)).square().mean().backward()
        optimizer.step()
    sparsifier.check()
    state = sparsifier.dense_state_dict()
    assert torch.equal(state["0.weight"], state["2.weight"])


def test_hooks_and_flags_are_taken_along():
    model = net()
    model[0].weight.requires_grad_(False)
    seen = []
    model[0].register_forward_hook(lambda *given: seen.append(given[0]))
    model.eval()
    sparsifier = rarefy.sparsify(model, 0.5, storage="compressed")
    assert not model[0].weight_values.requires_grad
    assert not model[0].training
    model(torch.randn(2, 12, dtype=WIDE))
    assert seen == [model[0]]
    sparsifier.detach()


def test_one_made_by_hand_says_what_it_lacks():
    model = net()
    made = rarefy.hold(model)
    bare = Sparsifier(model, made.targets, made.masks, made.plan)
    with pytest.raises(AttachError, match=r"rarefy\.sparsify or rarefy\.hold"):
        bare.compress()


def test_another_sparsifier_in_between_is_refused():
    model = net()
    first = rarefy.hold(model)
    first.detach()
    rarefy.hold(model)
    with pytest.raises(AttachError, match="another Sparsifier"):
        first.compress()


def test_nothing_is_changed_where_a_layer_cannot_be_compressed():
    model = nn.Sequential(nn.Linear(4, 4), nn.ConvTranspose1d(4, 4, 2))
    held = rarefy.hold(model)
    with pytest.raises(TargetError, match=r"1\.weight cannot be compressed"):
        held.compress()
    assert type(model[0]) is nn.Linear
    assert sparsifier_of(model) is held
