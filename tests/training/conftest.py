"""Small nets, batches and loops that the tests of this room share."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

import rarefy


def build(seed=0, dtype=torch.float32):
    """Three Linear layers, 12-16-10-4, the same ones for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10), nn.Tanh(), nn.Linear(10, 4)
        )
    return net.to(dtype)


def batches(count, seed=0, size=8, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1_000 + seed)
    return [
        (
            torch.randn(size, 12, generator=generator).to(dtype),
            torch.randint(4, (size,), generator=generator),
        )
        for _ in range(count)
    ]


def backward(model, batch):
    inputs, target = batch
    loss = functional.cross_entropy(model(inputs).float(), target)
    loss.backward()
    return loss


def train(model, optimizer, data, each=None):
    """One step a batch; ``optimizer`` is one or several; ``each`` is called after every step."""
    optimizers = optimizer if isinstance(optimizer, list) else [optimizer]
    for batch in data:
        for one in optimizers:
            one.zero_grad()
        backward(model, batch)
        for one in optimizers:
            one.step()
        if each is not None:
            each()


def leaves(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)


def states(optimizer, weight):
    """Every tensor of the weight's shape in what the optimizer keeps for it."""
    return [each for each in leaves(optimizer.state.get(weight, {})) if each.shape == weight.shape]


def assert_zeros(sparsifier, optimizer):
    """Exactly zero wherever removed: weights, and every state tensor of their shape."""
    optimizers = optimizer if isinstance(optimizer, list) else [optimizer]
    weights = dict(sparsifier.model.named_parameters(remove_duplicate=False))
    for name, mask in sparsifier.masks.items():
        weight = weights[name]
        assert not weight.detach()[~mask].any(), name
        for one in optimizers:
            for state in states(one, weight):
                assert not state[~mask].any(), f"{name}: state of {type(one).__name__}"


def same_bits(one, other):
    """Equal to the bit: -0.0 is not 0.0, and a NaN is itself."""

    def raw(tensor):
        return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())

    return one.dtype == other.dtype and one.shape == other.shape and raw(one) == raw(other)


def assert_same_run(one, other):
    """Two Sparsifiers and their models are at the same place, to the bit."""
    weights = zip(one.model.named_parameters(), other.model.parameters(), strict=True)
    for (name, weight), again in weights:
        assert same_bits(weight, again), name
    assert all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)
    assert one.step == other.step


def dense_gradients(model, *some):
    """Of a copy, which has no hooks: the whole gradient, summed over the batches."""
    twin = copy.deepcopy(model)
    twin.zero_grad()
    for batch in some:
        backward(twin, batch)
    return {name: weight.grad for name, weight in twin.named_parameters()}


@pytest.fixture
def lab():
    """The functions above, in one place."""
    return SimpleNamespace(
        assert_same_run=assert_same_run,
        assert_zeros=assert_zeros,
        backward=backward,
        batches=batches,
        build=build,
        dense_gradients=dense_gradients,
        same_bits=same_bits,
        states=states,
        train=train,
    )


# -- compressed storage beside masked storage, in double precision


class Twice(AdamW):
    """A subclass with state of its own, one layer down."""

    @torch.no_grad()
    def step(self, closure=None):
        """AdamW's, and a little of its own."""
        result = super().step(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                own = self.state[weight].setdefault("own", {"sum": torch.zeros_like(weight)})
                own["sum"].add_(weight.abs())
                weight.sub_(own["sum"].sign(), alpha=1e-5)
        return result


OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda p: AdamW(p, lr=1e-2),
    "adam": lambda p: Adam(p, lr=1e-2, amsgrad=True),
    "rmsprop": lambda p: RMSprop(p, lr=1e-2, momentum=0.5, centered=True),
    "adagrad": lambda p: Adagrad(p, lr=1e-2),
    "subclass": lambda p: Twice(p, lr=1e-2),
}


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10), nn.Tanh(), nn.Linear(10, 4)
        )
    return made.to(torch.float64)


def wide_batches(count, seed=0):
    generator = torch.Generator().manual_seed(1_000 + seed)
    return [torch.randn(8, 12, generator=generator).to(torch.float64) for _ in range(count)]


def run(storage, method, make="adamw", steps=200, model=None, **given):
    """Model, optimizer, Sparsifier, and the masks after every step."""
    model = net() if model is None else model
    optimizer = OPTIMIZERS[make](model.parameters())
    words = {"when": "every 10 until 75%", "seed": 3} | given
    sparsifier = rarefy.sparsify(
        model, 0.75, method, optimizer=optimizer, steps=steps, storage=storage, **words
    )
    seen = []
    for batch in wide_batches(steps):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        seen.append(dict(sparsifier.masks))
    return model, optimizer, sparsifier, seen


def loss_of(model, batch):
    return (model(batch) - batch[:, :4].sin()).square().mean()


def flat(state, before=""):
    for key, value in state.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        elif isinstance(value, torch.Tensor):
            yield before + key, value


@pytest.fixture
def twins():
    """The functions above for compressed and masked runs, in one place."""
    return SimpleNamespace(
        batches=wide_batches, flat=flat, loss=loss_of, net=net, optimizers=OPTIMIZERS, run=run
    )
