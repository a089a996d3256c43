"""A task's network, loop and score."""

import copy
import itertools

import pytest
import torch

import rarefy
from rarefy.errors import ScheduleError, TargetError
from rarefy.lab.tasks._task import _share_of_rate


def nothing(*_, **__):
    return None


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_seed_makes_the_network(tiny):
    assert torch.equal(weights(tiny.build(seed=3)), weights(tiny.build(seed=3)))
    assert not torch.equal(weights(tiny.build(seed=3)), weights(tiny.build(seed=4)))


def test_weights_start_by_torchs_default_law(tiny):
    first = tiny.build()[0].requires_grad_(False)
    bound = 6**-0.5
    assert float(first.weight.abs().max()) <= bound
    assert float(first.weight.std()) == pytest.approx(bound / 3**0.5, rel=0.15)
    assert float(first.bias.abs().max()) <= bound


@pytest.mark.parametrize(("width", "hidden"), [(1.0, 20), (0.5, 10), (2.0, 40), (0.01, 1)])
def test_width_multiplies_the_hidden_layers(tiny, width, hidden):
    shapes = [tuple(p.shape) for p in tiny.build(width=width).parameters() if p.dim() == 2]
    assert shapes == [(hidden, 6), (3, hidden)]


@pytest.mark.parametrize("width", [0, -1.0, float("inf"), float("nan")])
def test_an_odd_width_is_refused(tiny, width):
    with pytest.raises(TargetError, match="width"):
        tiny.build(width=width)


def test_steps_are_counted_in_whole_batches(tiny):
    assert tiny.steps() == 40
    assert tiny.steps(3) == 30
    with pytest.raises(ScheduleError, match="epochs"):
        tiny.steps(0)


def test_attach_is_told_the_optimizer_and_the_steps(tiny):
    model = tiny.build()
    calls = []

    def attach(optimizer, steps):
        calls.append((type(optimizer).__name__, steps))
        assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {
            id(p) for p in model.parameters()
        }

    tiny.train(model, attach, epochs=2)
    assert calls == [("SGD", 20)]


def test_training_learns(tiny):
    model = tiny.build()
    before = tiny.evaluate(model)
    tiny.train(model, nothing)
    after = tiny.evaluate(model)
    assert after["loss"] < before["loss"]
    assert after["accuracy"] > 0.8


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tiny):
    runs = []
    for seed in (0, 0, 1):
        model = tiny.build()
        tiny.train(model, nothing, epochs=1, seed=seed)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_global_random_state_and_threads_are_left_alone(tiny):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    model = tiny.build()
    tiny.train(model, nothing, epochs=1)
    tiny.evaluate(model)
    tiny.batches()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_it_trains_on_one_thread_also_when_it_fails(tiny, monkeypatch):
    seen = []

    def fail(*_):
        seen.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setattr(type(tiny), "_loss", fail)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        tiny.train(tiny.build(), nothing)
    assert seen == [1]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("stop", [1, 10, 13, 39])
def test_a_run_that_goes_on_equals_one_that_never_stopped(tiny, stop):
    whole = tiny.build()
    tiny.train(whole, nothing)
    model, held = tiny.build(), []

    class StoppedError(Exception):
        pass

    def attach(optimizer, steps):
        del steps
        held.append(optimizer)
        taken = []

        def count(*_):
            taken.append(1)
            if len(taken) == stop:
                raise StoppedError

        optimizer.register_step_post_hook(count)

    with pytest.raises(StoppedError):
        tiny.train(model, attach)
    state = copy.deepcopy(held[0].state_dict())
    tiny.train(model, lambda optimizer, **_: optimizer.load_state_dict(state), start=stop)
    assert torch.equal(weights(model), weights(whole))


@pytest.mark.parametrize("start", [-1, 41])
def test_a_start_outside_the_run_is_refused(tiny, start):
    with pytest.raises(ScheduleError, match="start"):
        tiny.train(tiny.build(), nothing, start=start)


def test_the_sparsifier_is_told_the_loss(tiny):
    model = tiny.build()
    sparsifiers = []

    def attach(optimizer, steps):
        sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, steps=steps, seed=0)
        sparsifiers.append(sparsifier)
        return sparsifier

    tiny.train(model, attach)
    losses = [record["loss"] for record in sparsifiers[0].history if "loss" in record]
    assert len(losses) == 40
    assert losses[-1] < losses[0]


def test_the_learning_rate_rises_and_falls_to_zero():
    rates = [_share_of_rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(rates[4], rel=1e-2)
    assert rates[50] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[5:]))
    assert 0 < rates[-1] < 1e-3


def test_evaluate_leaves_the_mode_as_it_was(tiny):
    model = tiny.build().train()
    found = tiny.evaluate(model)
    assert model.training
    outputs = model(tiny.data.test_inputs)
    right = (outputs.argmax(1) == tiny.data.test_targets).sum()
    assert found["accuracy"] == pytest.approx(int(right) / 30)


def test_example_and_batches(tiny):
    assert torch.equal(tiny.example(), tiny.data.test_inputs[:1])
    batches = tiny.batches(3)
    assert [(len(inputs), len(targets)) for inputs, targets in batches] == [(6, 6)] * 3
    again = tiny.batches(3)
    assert all(torch.equal(one[0], two[0]) for one, two in zip(batches, again, strict=True))
