"""Nets drawn at random, of everything a chain takes and much it does not: always right."""

import copy
import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from rarefy.acceleration import accelerated


class Residual(nn.Module):
    """Ways to come together again."""

    def __init__(self, channels, way):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm, self.other = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1)
        self.way = way

    def forward(self, x):  # noqa: D102
        y = self.other(torch.relu(self.norm(self.one(x))))
        if self.way == "in place":
            y += x
            return y
        if self.way == "concatenated":
            return (torch.cat([y, x], 1)[:, : x.shape[1]] + x).relu_()
        return {"sum": y + x, "product": y * x, "scaled": y * 2 + x}[self.way]


def image_net(draw):
    """Convolutions, norms, activations, pooling."""
    channels, layers = 3, []
    ways = ("sum", "product", "scaled", "in place", "concatenated")
    for _ in range(draw.randint(2, 6)):
        wide, inplace = draw.choice([4, 7, 8]), draw.random() < 0.5
        window, stride, pad = draw.choice([1, 3, 5]), draw.choice([1, 2]), draw.choice([0, 1, 2])
        conv = nn.Conv2d(channels, wide, window, stride, pad, bias=inplace)
        layer = draw.choice(
            [
                conv,
                conv,
                nn.Conv2d(channels, channels, 3, 1, 2, dilation=2),
                nn.BatchNorm2d(channels, affine=inplace),
                nn.ReLU(inplace),
                nn.ReLU6(inplace),
                nn.SiLU(inplace),
                nn.Hardtanh(-1.0, 2.0),
                nn.GELU(draw.choice(["none", "tanh"])),
                nn.MaxPool2d(draw.choice([2, 3]), stride, 1),
                nn.Dropout2d(),
                Residual(channels, draw.choice(ways)),
            ]
        )
        layers.append(layer)
        channels = wide if layer is conv else channels
    if draw.random() < 0.5:
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)]
    else:
        flat = [nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(1), nn.Linear(4 * channels, 5)]
        head = [*flat, nn.BatchNorm1d(5), nn.LayerNorm(5)]
    return nn.Sequential(*layers, *head)


class Attention(nn.Module):
    """Projections, a norm, and one of five ways to go on."""

    def __init__(self, draw):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8, False), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8, elementwise_affine=draw.random() < 0.7)
        self.up, self.tied, self.down = nn.Linear(8, 20), nn.Linear(8, 20), nn.Linear(20, 8)
        self.tied.weight = self.up.weight
        self.way = draw.randint(0, 4)
        self.act = draw.choice([torch.relu, functional.gelu, functional.silu])

    def forward(self, x, mask=None):  # noqa: D102
        scores = self.query(x) @ self.key(x).transpose(-1, -2)
        scores = scores if mask is None else scores + mask
        hidden = self.norm(x + torch.softmax(scores, -1) @ self.value(x))
        return self._on(hidden, x), {"scores": scores.sum(-1)}

    def _on(self, hidden, x):
        if self.way == 0:
            return hidden + self.down(self.act(self.up(hidden)))
        if self.way == 1:
            return self.down(self.act(self.up(hidden)) * self.tied(hidden))
        if self.way == 2:
            return self.down(self.act(self.up(hidden.transpose(0, 1)))).transpose(0, 1) + x
        if self.way == 3:
            wide = self.up(hidden)
            wide[:, 0] = 0
            return self.down(self.act(wide))
        narrow = self.norm(self.down(torch.clamp(self.up(hidden), -1, 1)))
        return narrow + hidden.mean(1, keepdim=True)


def drawn(seed):
    """A net and a function that makes its arguments."""
    draw = random.Random(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if seed % 2:
            net = image_net(draw)
            return net, lambda batch, _: (torch.randn(batch, 3, 16, 16),)
        net = Attention(draw)
        if draw.random() < 0.5:
            return net, lambda batch, length: (torch.randn(batch, length, 8),)
    return net, lambda batch, length: (
        torch.randn(batch, length, 8),
        torch.randn(batch, length, length),
    )


@pytest.mark.parametrize("seed", range(24))
def test_a_net_drawn_at_random_is_captured_and_right(seed, nets):
    net, arguments = drawn(seed)
    model = nets.pruned(net)
    example = arguments(1 + seed % 3, 5)
    fast = accelerated(model, example, stopwatch=nets.sparse_wins())
    assert fast.record["captured"] == [""]
    for other in (fast, copy.deepcopy(fast)):
        for batch, length in ((1, 5), (3, 9), (4, 1)):
            given = arguments(batch, length)
            if seed % 4 == 1:
                given = (given[0].contiguous(memory_format=torch.channels_last),)
            # Some of them write into what they are given.
            found = nets.run(other, tuple(tensor.clone() for tensor in given))
            assert nets.same(found, nets.run(model, tuple(tensor.clone() for tensor in given)))
