"""Nets, stopwatches that decide as a test wants, and a counter of chains that run."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rarefy.acceleration import Stopwatch, accelerated
from rarefy.acceleration._arguments import TensorLike
from rarefy.acceleration._prepare import prepare
from rarefy.acceleration._timings import timings_here
from rarefy.kernels import Plan


@pytest.fixture(autouse=True)
def no_file_of_timings(monkeypatch):
    monkeypatch.setenv("RAREFY_TIMINGS", "off")
    timings_here.cache_clear()


class Said(Stopwatch):
    """Runs every candidate once and says what it was told to say."""

    def __init__(self, **seconds):
        super().__init__(0.0)
        self.said = seconds
        self.asked = []

    def compare(self, calls):  # noqa: D102
        self.asked.append(tuple(calls))
        with torch.no_grad():
            for call in calls.values():
                call()
        return {name: self.said.get(name, 0.1) for name in calls}


def sparse_wins():
    """Dense takes 1 s, everything else 0.1."""
    return Said(dense=1.0)


def dense_wins():
    """Dense takes 0.01 s, everything else 0.1."""
    return Said(dense=0.01)


def pruned(model, density=0.2):
    """The model in evaluation mode with that share of every weight left, embeddings apart."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.dim() >= 2 and not isinstance(module, nn.Embedding):
                    parameter.mul_(torch.rand(parameter.shape, generator=draw) < density)
    return model.eval()


class LeNet(nn.Module):
    """Convolutions, pooling, ``view``."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3)
        self.f, self.g = nn.Linear(6 * 9, 20), nn.Linear(20, 10)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):  # noqa: D102
        x = self.pool(torch.relu(self.b(self.pool(torch.relu(self.a(x))))))
        return self.g(torch.relu(self.f(x.view(x.size(0), -1))))


class Block(nn.Module):
    """What ResNet is made of."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.short = nn.Sequential(short, nn.BatchNorm2d(outputs))

    def forward(self, x):  # noqa: D102
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.short(x)
        return self.relu(y)


def resnet():
    """Stem, two blocks, mean, head."""
    stem = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    blocks = (Block(8, 8, 1), Block(8, 16, 2))
    net = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *head)
    draw = torch.Generator().manual_seed(2)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=draw))
            module.running_var.copy_(torch.rand(module.num_features, generator=draw) + 0.5)
    return net


class Lstm(nn.Module):
    """An LSTM and a head."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):  # noqa: D102
        return self.head(torch.relu(self.lstm(x)[0]))


class Tied(nn.Module):
    """A head that has the embedding's weight."""

    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(50, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):  # noqa: D102
        return self.head(torch.relu(self.hidden(self.embedding(tokens))))


class Branch(nn.Module):
    """Goes where its values lead."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):  # noqa: D102
        hidden = self.a(x)
        return self.b(hidden) if hidden.sum() > 1e6 else self.c(hidden)


class Counter(nn.Module):
    """Counts its calls."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.count = 0

    def forward(self, x):  # noqa: D102
        self.count += 1
        return {"y": self.b(torch.relu(self.a(x))), "count": self.count}


def mlp():
    """Three layers, with what only training needs."""
    first = (nn.Linear(8, 16), nn.ReLU(), nn.Dropout())
    return nn.Sequential(*first, nn.Linear(16, 16), nn.ReLU(inplace=True), nn.Linear(16, 4))


def encoder():
    """Two layers of torch's own transformer."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _tokens(batch, length):
    return torch.randint(0, 50, (batch, length))


def _floats(batch, length):
    return torch.randn(batch, length, 8)


BUILDS = {
    "mlp": (mlp, lambda batch, _: torch.randn(batch, 8)),
    "lenet": (LeNet, lambda batch, _: torch.randn(batch, 1, 16, 16)),
    "resnet": (resnet, lambda batch, _: torch.randn(batch, 3, 20, 20)),
    "encoder": (encoder, lambda batch, length: torch.randn(batch, length, 16)),
    "lstm": (Lstm, _floats),
    "tied": (Tied, _tokens),
    "branch": (Branch, lambda batch, _: torch.randn(batch, 8)),
    "counter": (Counter, lambda batch, _: torch.randn(batch, 8)),
}


def made(name, density=0.2):
    """A pruned net and a function that makes its example."""
    build, example = BUILDS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pruned(build(), density), example


def tensors(output):
    """Every tensor in an output."""
    leaves = torch.utils._pytree.tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def run(model, example):
    """The output for a tensor, a tuple or a mapping, without gradients."""
    with torch.no_grad():
        if isinstance(example, dict):
            return model(**example)
        return model(*example) if isinstance(example, tuple) else model(example)


def same(one, other, rtol=1e-3, atol=1e-4):
    """Whether two outputs are of one kind and close."""
    pairs = zip(tensors(one), tensors(other), strict=True)
    return type(one) is type(other) and all(
        torch.allclose(a, b, rtol=rtol, atol=atol) for a, b in pairs
    )


_FAST = {}


def fast(name, **options):
    """An accelerated net, all of it sparse; a copy of one that is made once."""
    key = (name, *sorted(options.items()))
    if key not in _FAST:
        model, example = made(name)
        _FAST[key] = accelerated(model, example(1, 7), stopwatch=sparse_wins(), **options)
    return copy.deepcopy(_FAST[key])


@pytest.fixture
def nets():
    """The functions above, for tests, which cannot import from here."""
    functions = (made, fast, pruned, sparse_wins, dense_wins, Said, run, same, tensors, mlp)
    found = {function.__name__: function for function in functions}
    return SimpleNamespace(**found, names=sorted(BUILDS), Block=Block, Counter=Counter)


@pytest.fixture
def chains(monkeypatch):
    """How many chains ran: ``chains()`` tells, and begins to count anew."""
    count = 0
    plain = Plan.run

    def counted(self, *inputs):
        nonlocal count
        count += 1
        return plain(self, *inputs)

    def taken():
        nonlocal count
        found, count = count, 0
        return found

    monkeypatch.setattr(Plan, "run", counted)
    return taken


@pytest.fixture(name="sparse_wins")
def a_watch_for_sparse():
    return Said(dense=1.0)


@pytest.fixture(name="dense_wins")
def a_watch_for_dense():
    return Said(dense=0.05)


@pytest.fixture
def thinned():
    return lambda model: pruned(model, 0.25)


@pytest.fixture(name="mlp")
def two_layers(thinned):
    torch.manual_seed(0)
    return thinned(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))


@pytest.fixture
def x():
    return torch.randn(3, 8, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def hastened(sparse_wins):
    return lambda model, x, **more: accelerated(model, x, stopwatch=sparse_wins, **more)


@pytest.fixture(scope="session")
def tracer():
    """Traces once, so that the seconds of loading the tracer are in no test."""
    prepare(nn.ReLU(), "", {"input": TensorLike((2, 2), torch.float32)})


@pytest.fixture
def unit_of():
    def make(module, **shapes):
        arguments = {name: TensorLike(shape, torch.float32) for name, shape in shapes.items()}
        return prepare(module.eval(), "", arguments)

    return make
