"""Chains to run: small nets with their program, packed bytes, inputs and torch modules."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from rarefy.kernels import floats, join, pack


@dataclass
class Chain:
    """One chain and the same in torch's own modules."""

    program: str
    packed: torch.Tensor
    inputs: list[torch.Tensor]
    net: Any

    def wanted(self):
        """What the modules give."""
        with torch.no_grad():
            found = self.net(*self.inputs)
        return list(found) if isinstance(found, tuple) else [found]


def sparse(module, density=0.2):
    with torch.no_grad():
        module.weight *= torch.rand_like(module.weight) < density
    return module


def both(first, second):
    return floats(torch.cat([first.detach(), second.detach()]))


def mlp():
    net = nn.Sequential(
        sparse(nn.Linear(70, 90)), nn.ReLU(), sparse(nn.Linear(90, 33), 0.5), nn.Linear(33, 5)
    )
    packed = join([pack(p) if p.dim() > 1 else floats(p) for p in net.parameters()])
    program = """rarefy 1
input r0 rank=2
linear r1 r0 w=0:90x70 b=1
relu r2 r1
linear r3 r2 w=2:33x90 b=3
linear r4 r3 w=4:5x33 b=5
output r4"""
    return Chain(program, packed, [torch.randn(7, 70)], net)


def encoder():
    up, down, norm = sparse(nn.Linear(48, 150)), sparse(nn.Linear(150, 48)), nn.LayerNorm(48)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()

    def net(x, other):
        hidden = functional.gelu(up(x)) * functional.gelu(up(x), approximate="tanh")
        return norm(down(hidden) + x + other), functional.silu(up(x)).clamp(-0.1, 0.5)

    packed = join(
        [
            pack(up.weight),
            floats(up.bias),
            pack(down.weight),
            floats(down.bias),
            both(norm.weight, norm.bias),
        ]
    )
    program = """rarefy 1
input r0 rank=3
input r1 rank=3
linear r2 r0 w=0:150x48 b=1
gelu r3 r2
gelu_tanh r4 r2
mul r5 r3 r4
linear r6 r5 w=2:48x150 b=3
add r7 r6 r0
add r8 r7 r1
norm r9 r8 p=4:48 eps=1e-05
silu r10 r2
clamp r11 r10 lo=-0.1 hi=0.5
output r9
output r11"""
    return Chain(program, packed, [torch.randn(2, 9, 48), torch.randn(2, 9, 48)], net)


def images():
    stem, inner = sparse(nn.Conv2d(3, 20, (5, 3), (2, 1), (2, 0))), nn.Conv2d(20, 20, 3, padding=1)
    small = sparse(nn.Conv2d(20, 40, 1, 2, bias=False))
    norm, head = nn.BatchNorm2d(20).eval(), sparse(nn.Linear(40, 6))
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale

    def net(x):
        first = functional.max_pool2d(functional.relu(norm(stem(x))), 3, 2, 1)
        second = functional.relu(inner(first) + first)
        return head(small(second).mean((2, 3), keepdim=True).flatten(1))

    packed = join(
        [
            pack(stem.weight),
            floats(stem.bias),
            both(scale, shift),
            pack(inner.weight),
            floats(inner.bias),
            pack(small.weight),
            pack(head.weight),
            floats(head.bias),
        ]
    )
    program = """rarefy 1
input r0 rank=4
conv r1 r0 w=0:20x3x5x3 b=1 stride=2,1 pad=2,0
affine r2 r1 s=2:20
relu r3 r2
max_pool r4 r3 size=3,3 stride=2,2 pad=1,1
conv r5 r4 w=3:20x20x3x3 b=4 stride=1,1 pad=1,1
add r6 r5 r4
relu r7 r6
conv r8 r7 w=5:40x20x1x1 b=- stride=2,2 pad=0,0
mean r9 r8
flatten r10 r9
linear r11 r10 w=6:6x40 b=7
output r11"""
    return Chain(program, packed, [torch.randn(2, 3, 25, 30)], net)


@pytest.fixture(params=[mlp, encoder, images], ids=lambda make: make.__name__)
def chain(request):
    """Each of the small nets."""
    torch.manual_seed(0)
    return request.param()


@pytest.fixture
def simple():
    """The smallest of them."""
    torch.manual_seed(0)
    return mlp()
