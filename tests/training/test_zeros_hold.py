"""Invariant 2: what is removed is exactly zero after every step, whatever the optimizer."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)

import rarefy

STEPS = 34


class _Nested(SGD):
    """A user's subclass whose step calls its parent's: torch hooks both."""

    def step(self, closure=None):
        return super().step(closure)


class _Lion(torch.optim.Optimizer):
    """A user's optimizer with state of its own, some of it in a list."""

    def __init__(self, params, lr=1e-2):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["slow"] = torch.zeros_like(weight)
                    state["past"] = [torch.zeros_like(weight), torch.zeros_like(weight)]
                weight.mul_(1 - 1e-3).sub_(state["slow"].lerp(weight.grad, 0.1).sign() * 1e-2)
                state["slow"].lerp_(weight.grad, 0.01)
                state["past"] = [weight.grad + 0.5, state["past"][0]]  # dense on purpose


def muon_beside_adamw(model):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    return [Muon(matrices, lr=0.02, momentum=0.9, weight_decay=0.1), AdamW(rest, lr=1e-2)]


OPTIMIZERS = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "sgd_fused": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, fused=True),
    "adam": lambda m: Adam(m.parameters(), lr=1e-2, weight_decay=1e-2),
    "amsgrad": lambda m: Adam(m.parameters(), lr=1e-2, amsgrad=True),
    "adamw_foreach": lambda m: AdamW(m.parameters(), lr=1e-2, foreach=True),
    "adamw_fused": lambda m: AdamW(m.parameters(), lr=1e-2, fused=True),
    "adamw_amsgrad": lambda m: AdamW(m.parameters(), lr=1e-2, amsgrad=True),
    "rmsprop": lambda m: RMSprop(m.parameters(), lr=1e-3, momentum=0.9, centered=True),
    "adagrad": lambda m: Adagrad(m.parameters(), initial_accumulator_value=0.1),
    "adadelta": lambda m: Adadelta(m.parameters(), weight_decay=1e-2),
    "adamax": lambda m: Adamax(m.parameters()),
    "adafactor": lambda m: Adafactor(m.parameters(), weight_decay=1e-2),
    "nadam": lambda m: NAdam(m.parameters(), weight_decay=1e-2, decoupled_weight_decay=True),
    "radam": lambda m: RAdam(m.parameters(), lr=1e-2),
    "asgd": lambda m: ASGD(m.parameters(), lr=1e-2, t0=3),
    "rprop": lambda m: Rprop(m.parameters()),
    "muon_beside_adamw": muon_beside_adamw,
    "nested": lambda m: _Nested(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2),
    "own_state": lambda m: _Lion(m.parameters()),
}
METHODS = ["static", "set", "rigl", "snfs", "gmp"]


def sparse(model, method, optimizer, sparsity=0.8):
    when = None if method == "static" else "every 5 until 75%"
    return rarefy.sparsify(
        model, sparsity, method, optimizer=optimizer, steps=STEPS, when=when, seed=3
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_removed_weights_and_their_state_stay_zero(lab, optimizer, method):
    SGD([nn.Parameter(torch.zeros(1))])  # the parent class has been hooked before the subclass
    model = lab.build()
    optimizer = OPTIMIZERS[optimizer](model)
    sparsifier = sparse(model, method, optimizer)
    seen = [sparsifier.masks]

    def look():
        lab.assert_zeros(sparsifier, optimizer)
        seen.append(sparsifier.masks)
        assert sparsifier.step == len(seen) - 1
        if method != "gmp":
            assert sparsifier.masks.kept == seen[0].kept

    before = model[0].weight.detach().clone()
    lab.train(model, optimizer, lab.batches(STEPS), look)
    sparsifier.check()
    changes = sum(
        any(not torch.equal(one[name], other[name]) for name in one)
        for one, other in pairwise(seen)
    )
    assert changes == 0 if method == "static" else changes >= 2
    # 12 x 16 + 16 x 10 + 10 x 4 weights, of which a fifth is kept, to the unit
    assert sparsifier.masks.kept == round(0.2 * (192 + 160 + 40))
    assert not torch.equal(before, model[0].weight)


@pytest.mark.parametrize("method", METHODS)
def test_lbfgs_by_closure(lab, method):
    model = lab.build()
    optimizer = LBFGS(model.parameters(), lr=0.3, max_iter=4, line_search_fn="strong_wolfe")
    sparsifier = sparse(model, method, optimizer)
    batch = lab.batches(1, size=64)[0]
    losses = []

    def closure():
        optimizer.zero_grad()
        return lab.backward(model, batch)

    for step in range(STEPS):
        losses.append(optimizer.step(closure).item())
        lab.assert_zeros(sparsifier, optimizer)
        assert sparsifier.step == step + 1
    assert min(losses) < losses[0]
    assert sparsifier.masks.kept == round(0.2 * 392)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_every_floating_dtype(lab, method, dtype):
    model = lab.build(dtype=dtype)
    optimizer = AdamW(model.parameters(), lr=1e-2, eps=1e-3)
    sparsifier = sparse(model, method, optimizer)
    lab.train(
        model,
        optimizer,
        lab.batches(STEPS, dtype=dtype),
        lambda: lab.assert_zeros(sparsifier, optimizer),
    )
    assert sparsifier.masks.kept == round(0.2 * 392)
    assert model[0].weight.dtype == dtype


@pytest.mark.parametrize("method", ["rigl", "set"])
@pytest.mark.parametrize("pattern", ["block 2x2", "row", "2:4"])
def test_patterns_hold_as_well(lab, method, pattern):
    model = lab.build()
    optimizer = Adam(model.parameters(), lr=1e-2)
    sparsity = "2:4" if pattern == "2:4" else 0.5
    sparsifier = rarefy.sparsify(
        model,
        sparsity,
        method,
        pattern=None if pattern == "2:4" else pattern,
        optimizer=optimizer,
        steps=STEPS,
        when="every 5 until 75%",
        seed=0,
        skip=["4"],  # four outputs of ten inputs: 2:4 does not divide them
    )
    first = sparsifier.masks
    lab.train(
        model,
        optimizer,
        lab.batches(STEPS),
        lambda: lab.assert_zeros(sparsifier, optimizer),
    )
    assert sparsifier.masks.kept == first.kept == 176
    assert any(not torch.equal(first[name], sparsifier.masks[name]) for name in first)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="capturable needs an accelerator")
@pytest.mark.parametrize("method", METHODS)
def test_capturable_on_an_accelerator(lab, method):
    model = lab.build().cuda()
    optimizer = AdamW(model.parameters(), lr=1e-2, capturable=True)
    sparsifier = sparse(model, method, optimizer)
    data = [(x.cuda(), y.cuda()) for x, y in lab.batches(STEPS)]
    lab.train(model, optimizer, data, lambda: lab.assert_zeros(sparsifier, optimizer))
    sparsifier.check()
