"""Asked equals kept, to the unit of the pattern, summed over layers: for everything there is."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import rarefy
from rarefy import allocation, methods
from rarefy.patterns import parse
from rarefy.targets import find


class Conv1D(nn.Module):
    """As in GPT-2: a Linear whose weight is inputs x outputs."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))


# Sides are multiples of four, so that every pattern below divides every one of them.
LAYERS = {
    "linear": lambda: nn.Linear(8, 12),
    "large": lambda: nn.Linear(40, 16),
    "single": lambda: nn.Linear(4, 4),
    "conv1d": lambda: nn.Conv1d(8, 4, 3),
    "conv2d": lambda: nn.Conv2d(8, 8, (1, 3)),
    "grouped": lambda: nn.Conv2d(8, 12, 3, groups=2),
    "conv3d": lambda: nn.Conv3d(4, 4, 2),
    "transposed1d": lambda: nn.ConvTranspose1d(4, 8, 3),
    "transposed": lambda: nn.ConvTranspose2d(8, 8, 2, groups=2),
    "lstm": lambda: nn.LSTM(8, 4, bidirectional=True),
    "gru": lambda: nn.GRU(4, 8),
    "cell": lambda: nn.LSTMCell(4, 4),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "other attention": lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=12),
    "conv1d of gpt2": lambda: Conv1D(12, 8),
    "embedding": lambda: nn.Embedding(16, 8),
}
PATTERNS = ["unstructured", "row", "column", "block 2x2", "block 4x1", "block 1x4", "2:4", "1:4"]
ALLOCATIONS = [name for name in allocation.__all__ if name.islower()]
FILLS = {
    "random": None,
    "equal": lambda w: w.fill_(0.5),
    "zero": lambda w: w.zero_(),
    "two values": lambda w: w.copy_((w > 0).to(w) + 1),
    "rounded": lambda w: w.copy_((w * 10).round()),
}

models = st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4)
dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64])
fills = st.sampled_from(sorted(FILLS))
sparsities = st.one_of(st.floats(0, 0.99), st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.98]))
slowly = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def built(layers, dtype, fill):
    torch.manual_seed(0)
    model = nn.ModuleList([LAYERS[name]() for name in layers]).to(dtype)
    if FILLS[fill]:
        with torch.no_grad():
            for parameter in model.parameters():
                FILLS[fill](parameter)
    return model


def asked(model, pattern, sparsity):
    """Units kept in all, and units there are, by a twin that only counts."""
    sizes = [pattern.size(each.matrix_shape) for each in find(model, only="*").values()]
    if pattern.density is not None:
        return sum(round(size * pattern.density) for size in sizes), sizes
    return round((1 - sparsity) * sum(sizes)), sizes


def check(model, sparsifier, pattern, count, minimum):
    kept = []
    for name, target in find(model, only="*").items():
        mask = sparsifier.masks[name]
        units = pattern.unit_scores(target.matrix(mask.double()))
        assert ((units == 0) | (units == 1)).all() or pattern.density is not None, "whole units"
        kept.append(int(units.sum()))
        weight = model.get_parameter(name).detach()
        assert not weight[~mask].any(), "what is gone is zero"
        if pattern.density is not None:
            groups = target.matrix(mask).unflatten(2, (-1, pattern.m)).sum(3)
            assert (groups == pattern.n).all()
    assert sum(kept) == count
    assert min(kept) >= min(minimum, count)


@slowly
@given(
    layers=models,
    words=st.sampled_from(PATTERNS),
    spread=st.sampled_from(ALLOCATIONS),
    score=st.sampled_from(["magnitude", "random"]),
    dtype=dtypes,
    fill=fills,
    sparsity=sparsities,
    minimum=st.integers(0, 2),
)
def test_at_once(layers, words, spread, score, dtype, fill, sparsity, minimum):
    model, pattern = built(layers, dtype, fill), parse(words)
    count, sizes = asked(model, pattern, sparsity)
    assume(count >= minimum * len(sizes))
    sparsifier = rarefy.sparsify(
        model,
        words if pattern.density is not None else sparsity,
        score,
        pattern=words,
        allocation=spread,
        only="*",
        minimum=minimum,
        seed=0,
    )
    check(model, sparsifier, pattern, count, minimum if pattern.density is None else 0)


@pytest.mark.parametrize("method", [name.rstrip("_") for name in methods.__all__])
@settings(slowly, max_examples=30)
@given(
    layers=models,
    words=st.sampled_from(PATTERNS),
    spread=st.sampled_from(ALLOCATIONS),
    dtype=dtypes,
    fill=fills,
    sparsity=sparsities,
)
def test_while_it_trains(method, layers, words, spread, dtype, fill, sparsity):
    pattern = parse(words)
    assume(method != "snfs" or words == "unstructured")
    assume(method != "gmp" or pattern.density is None)
    model = built(layers, dtype, fill)
    count, sizes = asked(model, pattern, sparsity)
    assume(count >= len(sizes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model,
        words if pattern.density is not None else sparsity,
        method,
        optimizer=optimizer,
        steps=16,
        pattern=words,
        allocation=spread,
        only="*",
        seed=0,
    )
    steepness = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    for step in range(16):
        optimizer.zero_grad()
        sum((p * steepness[name]).sum() for name, p in model.named_parameters()).backward()
        optimizer.step()
        if method != "gmp" or step == 15:
            check(model, sparsifier, pattern, count, 1 if pattern.density is None else 0)
    sparsifier.check()
