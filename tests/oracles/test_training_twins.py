"""RigL, SET, SNFS and GMP as one plain loop each; of the library only its first mask."""

import math

import pytest
import torch
from torch import nn

import rarefy
from rarefy.growth import Random
from rarefy.selection import generator_for

STEPS, EVERY, UNTIL, RATE, BETA, DECAY = 30, 5, 20, 0.1, 0.9, 0.01
NAMES = ("0.weight", "2.weight")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 10), nn.Tanh(), nn.Linear(10, 6)).double()


def batches():
    torch.manual_seed(1)
    return [(torch.randn(8, 12).double(), torch.randint(6, (8,))) for _ in range(STEPS)]


def by_library(method, **words):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=BETA, weight_decay=DECAY)
    words = {"when": f"every {EVERY} until {UNTIL}", **words}
    sparsifier = rarefy.sparsify(
        model, 0.75, method, optimizer=optimizer, steps=STEPS, seed=11, **words
    )
    first = {name: sparsifier.masks[name] for name in NAMES}
    for inputs, target in batches():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
    sparsifier.check()
    return first, model


class Twin:
    """Masked SGD with momentum and weight decay, written out."""

    def __init__(self, masks):
        self.model = net()
        self.masks = {name: mask.clone() for name, mask in masks.items()}
        self.buffers = {}
        self.hold()

    def weight(self, name):
        """By name, to write into."""
        return self.model.get_parameter(name).data

    def hold(self):
        """Zeros in what is gone."""
        for name, mask in self.masks.items():
            self.weight(name)[~mask] = 0
            if name in self.buffers:
                self.buffers[name][~mask] = 0

    def gradients(self, inputs, target):
        """Dense, by name."""
        loss = nn.functional.cross_entropy(self.model(inputs), target)
        named = dict(self.model.named_parameters())
        return dict(zip(named, torch.autograd.grad(loss, named.values()), strict=True))

    def step(self, gradients):
        """One step of the optimizer."""
        for name, parameter in self.model.named_parameters():
            mask = self.masks.get(name, torch.ones_like(parameter, dtype=torch.bool))
            gradient = gradients[name] * mask + DECAY * parameter.data
            old = self.buffers.get(name)
            self.buffers[name] = gradient if old is None else BETA * old + gradient
            parameter.data -= RATE * self.buffers[name]
        self.hold()

    def exchange(self, name, share, arrivals, count=None, each_sign=False):
        """Drop the share, then grow the best of whatever did not survive; ties by place."""
        weight, mask = self.weight(name).flatten(), self.masks[name].flatten()
        living = [i for i in range(mask.numel()) if mask[i]]
        # SNFS rounds up, and says how many live afterwards; the others round down
        gone = int(share * len(living)) if count is None else math.ceil(share * len(living))
        sides = [living]
        if each_sign:
            negative = [i for i in living if weight[i] < 0]
            sides = sorted([[i for i in living if weight[i] >= 0], negative], key=len)
        parts = [gone] if not each_sign else [gone * len(sides[0]) // len(living)]
        parts += [gone - sum(parts)] if each_sign else []
        survivors = set(living)
        for side, part in zip(sides, parts, strict=True):
            by_size = sorted(side, key=lambda i: (-abs(float(weight[i])), i))
            survivors -= set(by_size[len(by_size) - part :])
        free = [i for i in range(mask.numel()) if i not in survivors]
        free.sort(key=lambda i: (-float(arrivals.flatten()[i]), i))
        born = set(free[: (count or len(living)) - len(survivors)])
        new = torch.tensor([i in survivors | born for i in range(mask.numel())])
        self.masks[name] = new.reshape(self.masks[name].shape)


def due(step):
    return 0 < step <= UNTIL and step % EVERY == 0


def cosine(share, step, final=0.0):
    return final + (share - final) * (1 + math.cos(math.pi * step / UNTIL)) / 2


def rigl(masks):
    twin = Twin(masks)
    for step, batch in enumerate(batches()):
        gradients = twin.gradients(*batch)
        if not due(step) or step == UNTIL:  # there the share has come down to nothing
            twin.step(gradients)
            continue
        for name in NAMES:
            twin.exchange(name, cosine(0.3, step), gradients[name].abs())
        twin.hold()
    return twin.model


def evolved(masks):
    twin = Twin(masks)
    for step, batch in enumerate(batches(), start=1):
        twin.step(twin.gradients(*batch))
        if due(step):
            for name in NAMES:
                drawn = generator_for(11, step, name, "growth")
                places = torch.rand(1, *twin.masks[name].shape, 1, generator=drawn)
                twin.exchange(name, 0.3, places, each_sign=True)
            twin.hold()
    return twin.model


def grown_by_momentum(masks):
    twin, averages = Twin(masks), {}
    for step, batch in enumerate(batches(), start=1):
        gradients = twin.gradients(*batch)
        for name in NAMES:
            old = averages.get(name, torch.zeros_like(gradients[name]))
            averages[name] = 0.9 * old + 0.1 * gradients[name]
        twin.step(gradients)
        if due(step):
            move(twin, averages, cosine(0.5, step, final=0.005))
            twin.hold()
    return twin.model


def move(twin, averages, share):
    gone = {name: math.ceil(share * int(twin.masks[name].sum())) for name in NAMES}
    worth = {name: float(averages[name].abs()[twin.masks[name]].mean()) for name in NAMES}
    whole = sum(gone.values())
    quotas = {name: whole * worth[name] / sum(worth.values()) for name in NAMES}
    newcomers = {name: int(quotas[name]) for name in NAMES}
    rest = whole - sum(newcomers.values())
    for name in sorted(NAMES, key=lambda n: newcomers[n] - quotas[n])[:rest]:
        newcomers[name] += 1
    for name in NAMES:
        count = int(twin.masks[name].sum()) - gone[name] + newcomers[name]
        twin.exchange(name, share, averages[name].abs(), count=count)


def gradual(masks):
    twin = Twin({name: torch.ones_like(mask) for name, mask in masks.items()})
    for step, batch in enumerate(batches(), start=1):
        twin.step(twin.gradients(*batch))
        if due(step):
            sparsity = 0.75 * (1 - (1 - step / UNTIL) ** 3)
            for name in NAMES:
                weight = twin.weight(name)
                kept = weight.numel() - round(sparsity * weight.numel())
                limit = weight[twin.masks[name]].abs().sort(descending=True).values[kept - 1]
                twin.masks[name] &= weight.abs() >= limit
            twin.hold()
    return twin.model


CASES = {
    "rigl": (rigl, {}),
    "set": (
        evolved,
        {"growth": Random(share=0.3, decay="constant", drop=rarefy.growth.smallest_of_each_sign)},
    ),
    "snfs": (grown_by_momentum, {}),
    "gmp": (gradual, {}),
}


@pytest.mark.parametrize("method", CASES)
def test_the_library_trains_what_the_plain_loop_trains(method):
    twin, words = CASES[method]
    masks, model = by_library(method, **words)
    for mine, wanted in zip(model.parameters(), twin(masks).parameters(), strict=True):
        assert torch.equal(mine != 0, wanted != 0)
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-12)
