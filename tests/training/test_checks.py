"""What check() and attach() see, and say."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

import rarefy
from rarefy.errors import AttachError, InvariantError

STEPS = 20


@pytest.fixture
def run(lab):
    model = lab.build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    return model, optimizer, sparsifier


def test_all_is_well_at_every_step(lab, run):
    model, optimizer, sparsifier = run
    sparsifier.check()
    lab.train(model, optimizer, lab.batches(STEPS), sparsifier.check)


def test_a_weight_written_beside_the_optimizer(run):
    model, _, sparsifier = run
    with torch.no_grad():
        model[2].weight.add_(1.0)
    removed = int((~sparsifier.masks["2.weight"]).sum())
    with pytest.raises(InvariantError, match=rf"2\.weight: {removed} removed weights are not zero"):
        sparsifier.check()
    sparsifier.hold()
    sparsifier.check()


def test_nan_in_a_removed_place_is_seen(run):
    model, _, sparsifier = run
    place = tuple((~sparsifier.masks["0.weight"]).nonzero()[0].tolist())
    with torch.no_grad():
        model[0].weight[place] = torch.nan
    with pytest.raises(InvariantError, match=r"0\.weight: 1 removed"):
        sparsifier.finalize()
    assert sparsifier.attached


def test_optimizer_state_from_before_pruning(lab, run):
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    optimizer.state[model[0].weight]["exp_avg"].fill_(1.0)
    with pytest.raises(InvariantError, match=r"0\.weight: exp_avg of AdamW .*hold\(\)"):
        sparsifier.check()
    lab.train(model, optimizer, data[3:4])
    sparsifier.check()


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_copied_optimizer_has_lost_its_hooks(lab, kind):
    """It shares parameters and state, so it trains, and nothing is held or changed."""
    model = lab.build()
    optimizer = kind(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    sparsifier.check()
    copied = copy.copy(optimizer)
    lab.train(model, copied, data[3:5])
    with pytest.raises(AttachError, match=r"0\.weight .*lost its hooks.*attach\(optimizer\)"):
        sparsifier.check()
    sparsifier.attach(copied)
    lab.train(model, copied, data[5:], lambda: lab.assert_zeros(sparsifier, copied))
    sparsifier.check()
    assert sparsifier.step == STEPS - 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copied_pair_is_nobodys(lab, run, copied):
    """Model and optimizer copied together: an ordinary pair, which hold() takes up again."""
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    other, trains = copied((model, optimizer))
    assert rarefy.training.sparsifier_of(other) is None
    with pytest.raises(AttachError, match="another copy of the model"):
        sparsifier.attach(trains)
    held = rarefy.hold(other, optimizer=trains)
    lab.train(other, trains, data[3:6], lambda: lab.assert_zeros(held, trains))
    held.check()
    sparsifier.check()
    assert sparsifier.step == 3


def test_an_optimizer_unpickled_alone_trains_nothing_of_the_model(run):
    _, optimizer, sparsifier = run
    with pytest.raises(AttachError, match="holds none of the model's sparse weights"):
        sparsifier.attach(pickle.loads(pickle.dumps(optimizer)))
    sparsifier.check()


def test_hooks_taken_off_by_somebody(run):
    _, optimizer, sparsifier = run
    optimizer._optimizer_step_post_hooks.clear()
    with pytest.raises(AttachError, match=r"AdamW lost its hooks.*attach\(optimizer\)"):
        sparsifier.check()
    sparsifier.attach(optimizer)
    sparsifier.check()


def test_an_optimizers_state_loaded_without_ours(lab, run):
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    early = copy.deepcopy(optimizer.state_dict()), sparsifier.state_dict()
    weights = copy.deepcopy(model.state_dict())
    lab.train(model, optimizer, data[3:7])
    optimizer.load_state_dict(early[0])
    model.load_state_dict(weights)
    with pytest.raises(AttachError, match="load both states"):
        sparsifier.check()
    sparsifier.load_state_dict(early[1])
    sparsifier.check()


def test_an_optimizer_attached_in_mid_run(lab):
    """Its own count is ahead of ours for good, and that is no fault."""
    model = lab.build()
    optimizer = Adam(model.parameters())
    lab.train(model, optimizer, lab.batches(4))
    sparsifier = rarefy.sparsify(model, 0.5)
    sparsifier.attach(optimizer)
    lab.assert_zeros(sparsifier, optimizer)  # momentum from the dense steps is gone as well
    lab.train(model, optimizer, lab.batches(3), sparsifier.check)
    assert sparsifier.step == 3


def test_steps_in_which_no_sparse_weight_is_trained(lab):
    """A phase that trains the head only is no step without hooks."""
    model = lab.build()
    optimizer = Adam(model.parameters())
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, skip="4", seed=0)
    data = lab.batches(9)
    lab.train(model, optimizer, data[:3], sparsifier.check)
    model[:4].requires_grad_(False)
    lab.train(model, optimizer, data[3:6], sparsifier.check)
    model[:4].requires_grad_(True)
    lab.train(model, optimizer, data[6:], sparsifier.check)
    assert sparsifier.step == 9


def test_attaching_twice(run):
    _, optimizer, sparsifier = run
    hooks = len(optimizer._optimizer_step_pre_hooks)
    with pytest.raises(AttachError, match="attached already"):
        sparsifier.attach(optimizer)
    assert len(optimizer._optimizer_step_pre_hooks) == hooks


def test_a_second_sparsifier(lab, run):
    model, optimizer, sparsifier = run
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for again in (
        lambda: rarefy.sparsify(model, 0.9),
        lambda: rarefy.sparsify(torch.compile(model, backend="eager"), 0.9, optimizer=optimizer),
        lambda: rarefy.hold(model, optimizer=optimizer),
    ):
        with pytest.raises(AttachError, match="drives this model already"):
            again()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    lab.train(model, optimizer, lab.batches(2), sparsifier.check)


def test_an_old_sparsifier_that_was_replaced(lab):
    model = lab.build()
    old = rarefy.sparsify(model, 0.5)
    new = rarefy.sparsify(model, 0.9)
    with pytest.raises(AttachError, match="another Sparsifier"):
        old.attach(SGD(model.parameters()))
    new.attach(SGD(model.parameters()))


def test_one_optimizer_of_two_is_replaced(lab):
    model = lab.build()
    parameters = list(model.parameters())
    first, second = SGD(parameters[:2], lr=0.1), SGD(parameters[2:], lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=[first, second], seed=0)
    third = Adam(parameters[2:])
    sparsifier.attach([first, third])
    assert not second._optimizer_step_pre_hooks
    lab.train(model, [first, third], lab.batches(4), sparsifier.check)
    assert sparsifier.step == 4


def test_the_model_is_gone(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    del model
    with pytest.raises(AttachError, match="keep a reference"):
        sparsifier.check()


def test_a_layer_is_replaced(run):
    model, _, sparsifier = run
    model[2] = nn.Linear(16, 10)
    with pytest.raises(AttachError, match=r"no attached optimizer holds 2\.weight as it is now"):
        sparsifier.check()


def test_one_that_steps_no_more_is_seen_by_its_count(lab, run):
    """A copy that zeroes gradients in place leaves no fresh gradient behind, but a count."""
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    copied = copy.copy(optimizer)
    for batch in data[3:5]:
        copied.zero_grad(set_to_none=False)
        lab.backward(model, batch)
        copied.step()
    with pytest.raises(AttachError, match=r"has taken 5 steps for 0\.weight, but 3 .*attach"):
        sparsifier.check()


def test_gradients_without_steps_are_no_fault(lab, run):
    """An overflow, a look at the gradients, a weight that is set: the weights or the count tell."""
    model, optimizer, sparsifier = run
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:3])
    for batch in data[:3]:
        optimizer.zero_grad()
        lab.backward(model, batch)
        sparsifier.check()
    optimizer.zero_grad()
    lab.train(model, optimizer, data[3:5], sparsifier.check)


def test_what_came_before_attaching_is_forgotten(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, seed=0)
    copied = copy.copy(optimizer)
    lab.train(model, copied, lab.batches(4))
    sparsifier.attach(copied)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    sparsifier.check()
