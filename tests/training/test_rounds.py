"""Several optimizers, and steps that break off."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import rarefy
from rarefy.errors import ScoreError

STEPS = 24
STEADY = rarefy.growth.Gradient(decay="constant")  # so that no exchange rounds to nothing


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "when": "every 4 until 75%", "seed": 3} | given
    if method == "static":
        words.pop("when")
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def sgd(model):
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def plain(lab, method, make=sgd, data=None):
    model = lab.build()
    optimizer = make(model)
    sparsifier = sparse(model, method, optimizer)
    lab.train(model, optimizer, data or lab.batches(STEPS))
    return model, sparsifier


def halves(kind, model):
    """One optimizer for the first layer, one for the others."""
    parameters = list(model.parameters())
    return [kind(parameters[:2], lr=1e-2), kind(parameters[2:], lr=1e-2)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_two_optimizers_are_one_at_an_exchange(lab, kind, listed, turned):
    """Whichever steps first: exchanges see the batch's own dense gradients, and nobody steps."""
    model = lab.build()
    optimizers = halves(kind, model)
    sparsifier = sparse(model, "rigl", optimizers[::-1] if listed else optimizers)
    lab.train(model, optimizers[::-1] if turned else optimizers, lab.batches(STEPS))
    reference, same = plain(lab, "rigl", lambda m: kind(m.parameters(), lr=1e-2))
    lab.assert_same_run(sparsifier, same)
    del reference


def test_an_optimizer_that_steps_now_and_then_stops_no_exchange(lab):
    model = lab.build()
    optimizers = halves(AdamW, model)
    sparsifier = sparse(model, "rigl", optimizers, growth=STEADY)
    for step, batch in enumerate(lab.batches(STEPS)):
        model.zero_grad()
        lab.backward(model, batch)
        optimizers[0].step()
        if step % 3 == 2:
            optimizers[1].step()
        lab.assert_zeros(sparsifier, optimizers)
    exchanged = [r["step"] for r in sparsifier.history if r["step"] and "churn" in r]
    assert exchanged == [4, 8, 12, 16]
    assert float(optimizers[0].state[model[0].weight]["step"]) == STEPS - 4
    # it stepped after the steps 3, 6, 9 ...: of those, the 9th round is an exchange (8 were done)
    assert float(optimizers[1].state[model[2].weight]["step"]) == STEPS // 3 - 1


def test_an_optimizer_that_steps_more_often_exchanges_once(lab):
    """Exchanges follow the steps that are counted, and there is one for each that is due."""
    model = lab.build()
    often, seldom = halves(SGD, model)
    sparsifier = sparse(model, "rigl", [seldom, often], growth=STEADY)
    assert sparsifier.model is model
    seen = [sparsifier.masks]
    for number, batch in enumerate(lab.batches(3 * STEPS)):
        model.zero_grad()
        lab.backward(model, batch)
        for name, weight in sparsifier.weights().items() if number % 3 else ():
            assert not weight.grad[~sparsifier.masks[name]].any()  # nothing is to come any more
        often.step()
        if number % 3 == 2:
            seldom.step()
        lab.assert_zeros(sparsifier, [often, seldom])
        if sparsifier.masks is not seen[-1]:
            seen.append(sparsifier.masks)
    assert sparsifier.step == STEPS
    assert len(seen) == 1 + 4


@pytest.mark.parametrize("at", [2, 3, 4, 7])
def test_one_of_two_overflows(lab, at):
    """The other steps alone. Exchanges still come with the gradients that were left dense."""
    model = lab.build()
    first, second = halves(SGD, model)
    sparsifier = sparse(model, "rigl", [first, second], growth=STEADY)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for number, (inputs, target) in enumerate(lab.batches(STEPS)):
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), target)
        scaler.scale(loss).backward()
        before, due = sparsifier.masks, sparsifier.dense_wanted
        if number == at:
            model[0].bias.grad.fill_(torch.inf)
        for optimizer in (first, second):
            scaler.step(optimizer)
        scaler.update()
        assert (sparsifier.masks is not before) == due
        lab.assert_zeros(sparsifier, [first, second])
    assert sparsifier.step == STEPS - 1


def test_a_change_by_score_comes_once_a_round(lab):
    """Pruning by a gradient comes before the step: once, though two optimizers step."""
    model = lab.build()
    optimizers = halves(SGD, model)
    sparsifier = sparse(model, "gmp", optimizers, score="taylor", growth="random")
    lab.train(model, optimizers, lab.batches(STEPS))
    reference, same = lab.build(), None
    optimizer = SGD(reference.parameters(), lr=1e-2)
    same = sparse(reference, "gmp", optimizer, score="taylor", growth="random")
    lab.train(reference, optimizer, lab.batches(STEPS))
    lab.assert_same_run(sparsifier, same)
    assert sparsifier.history == same.history


def test_a_step_that_raises_leaves_nothing_behind(lab):
    model = lab.build()
    optimizer = sgd(model)
    sparsifier = sparse(model, "rigl", optimizer)
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:4])
    masks = sparsifier.masks
    optimizer.zero_grad()
    lab.backward(model, data[4])
    model[2].weight.grad[0, 0] = torch.nan
    for _ in range(2):  # also a second time, without a backward pass in between
        with pytest.raises(ScoreError, match=r"2\.weight.*not finite"):
            optimizer.step()
    assert sparsifier.masks is masks
    assert sparsifier.step == 4
    lab.train(model, optimizer, data[4:])
    reference, same = plain(lab, "rigl")
    lab.assert_same_run(sparsifier, same)
    del reference


@pytest.mark.parametrize("method", ["rigl", "gmp"])
def test_a_closure_that_raises_leaves_nothing_behind(lab, method):
    model = lab.build()
    optimizer = sgd(model)
    sparsifier = sparse(model, method, optimizer)
    broken = [True]
    for batch in lab.batches(STEPS):

        def closure(batch=batch):
            optimizer.zero_grad()
            loss = lab.backward(model, batch)
            if broken[0]:
                raise KeyboardInterrupt
            return loss

        broken[0] = True
        with pytest.raises(KeyboardInterrupt):
            optimizer.step(closure)
        broken[0] = False
        optimizer.step(closure)
    reference, same = plain(lab, method)
    lab.assert_same_run(sparsifier, same)
    del reference


@pytest.mark.parametrize("at", [2, 4, 8])
def test_an_optimizer_that_breaks_off_in_its_step(lab, at):
    class Breaking(SGD):
        broken = False

        def step(self, closure=None):
            if self.broken:
                raise KeyboardInterrupt
            return super().step(closure)

    SGD([nn.Parameter(torch.zeros(1))])
    model = lab.build()
    optimizer = Breaking(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    sparsifier = sparse(model, "rigl", optimizer, growth=STEADY)
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[:at])
    optimizer.zero_grad()
    lab.backward(model, data[at])
    optimizer.broken = True
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    optimizer.broken = False
    assert sparsifier.step == at
    # The exchange itself came before the step that broke off: it stays done, once.
    lab.train(model, optimizer, data[at + 1 :], lambda: lab.assert_zeros(sparsifier, optimizer))
    assert sparsifier.step == STEPS - 1
    assert [r["step"] for r in sparsifier.history if r["step"] and "churn" in r] == [4, 8, 12, 16]
