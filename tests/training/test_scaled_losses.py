"""Steps that a GradScaler skips are neither taken nor counted."""

import pytest
import torch
from torch.optim import SGD, Adam, AdamW

import rarefy

METHODS = ["static", "set", "rigl", "snfs", "gmp"]
STEPS = 24


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


def scaled(lab, method, make, data, *, none=True, clip=False):
    model = lab.build()
    optimizer = make(model)
    sparsifier = sparse(model, method, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for inputs, target in data:
        optimizer.zero_grad(set_to_none=none)
        loss = torch.nn.functional.cross_entropy(model(inputs), target)
        scaler.scale(loss).backward()
        if clip:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1e6)
        scaler.step(optimizer)
        scaler.update()
        lab.assert_zeros(sparsifier, optimizer)
    sparsifier.check()
    return model, sparsifier


KINDS = {
    "foreach": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, foreach=True),
    # without momentum: torch leaves its buffer uninitialised where the very first step overflows
    "fused": lambda m: SGD(m.parameters(), lr=0.1, fused=True),
    "adam": lambda m: Adam(m.parameters(), lr=1e-2),
    "adam_fused": lambda m: Adam(m.parameters(), lr=1e-2, fused=True),
}


WAYS = [
    (method, none, clip)
    for method in METHODS
    for none, clip in [(True, False), (False, False), (True, True)]
    # one way of zeroing gradients is enough for methods that do not look at them
    if method not in ("static", "gmp") or (none and not clip)
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "none", "clip"), WAYS)
def test_skipped_steps_are_not_counted(lab, method, kind, none, clip):
    good = lab.batches(STEPS)
    odd = (torch.full((8, 12), torch.inf), good[0][1])
    # before, at and after the exchanges that come after 4, 8, 12 ... steps
    data = [odd, *good[:4], odd, odd, *good[4:9], odd, *good[9:]]
    model, sparsifier = scaled(lab, method, KINDS[kind], data, none=none, clip=clip)
    assert sparsifier.step == STEPS
    if method == "snfs" and ("fused" not in kind or clip):
        return  # its average then holds scaled gradients, and the scale has changed on the way
    # A power of two scales exactly, so the run is that of the good batches alone, to the bit.
    reference, same = plain(lab, method, KINDS[kind], good)
    lab.assert_same_run(sparsifier, same)
    del model, reference


def saliency(weight, gradient):
    """A score of the user's that is not blind to scale."""
    return weight.abs() + gradient.abs()


@pytest.mark.parametrize("kind", ["fused", "foreach"])
def test_scores_see_unscaled_gradients(lab, kind):
    runs = []
    for scale in (1.0, 2.0**12):
        model = lab.build()
        optimizer = KINDS[kind](model)
        sparsifier = sparse(model, "rigl", optimizer, score=saliency)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=scale != 1)
        for inputs, target in lab.batches(STEPS):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs), target)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        runs.append((model, sparsifier))
    lab.assert_same_run(runs[0][1], runs[1][1])
    assert [r.get("gradient_norm") for r in runs[0][1].history] == [
        r.get("gradient_norm") for r in runs[1][1].history
    ]


def test_zeros_hold_where_a_skipped_step_made_state(lab):
    """A fused SGD whose first step overflows makes its momentum, and leaves what memory held."""
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    sparsifier = sparse(model, "static", optimizer)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(1.0), torch.tensor(1.0)
    lab.backward(model, lab.batches(1)[0])
    optimizer.step()
    lab.assert_zeros(sparsifier, optimizer)
    assert sparsifier.step == 0


def test_a_skipped_gradient_is_no_part_of_the_average(lab):
    """An optimizer that is not fused never hears of the overflow: only the next backward tells."""
    good = lab.batches(6)
    odd = (torch.full((8, 12), torch.inf), good[0][1])
    one, first = scaled(lab, "snfs", KINDS["foreach"], [*good[:3], *good[3:]], none=False)
    averages = first.state_dict()["averages"]
    other, second = scaled(lab, "snfs", KINDS["foreach"], [*good, odd], none=False)
    for name, value in second.state_dict()["averages"].items():
        assert torch.equal(value, averages[name])
    third, last = scaled(lab, "snfs", KINDS["foreach"], [odd, *good], none=False)
    for name, value in last.state_dict()["averages"].items():
        assert torch.allclose(value * 2, averages[name], rtol=1e-6, atol=0)  # half the scale
    del one, other, third


@pytest.mark.parametrize("method", METHODS)
def test_autocast(lab, method):
    model = lab.build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    sparsifier = sparse(model, method, optimizer)
    for inputs, target in lab.batches(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(inputs), target)
        loss.backward()
        optimizer.step()
        lab.assert_zeros(sparsifier, optimizer)
    assert sparsifier.masks.kept == 98
    assert model[0].weight.dtype == torch.float32
