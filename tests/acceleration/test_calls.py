"""One watched run: who is called, with what, what it changed, and that nothing stays behind."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._arguments import Constant, Opaque, TensorLike
from rarefy.acceleration._calls import watch


class Cache:
    """Something that is no tensor."""


class Net(nn.Module):
    """Changes three attributes in each call, in three ways."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.spare = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.seen, self.steps = [], 0

    def forward(self, x, twice=False):  # noqa: D102
        self.steps += 1
        self.seen.append(x.shape)
        self.fresh = 1
        for _ in range(1 + twice):
            x = self.inner(x)
        return self.norm(x)


class Returns(nn.Module):
    """Gives a cache along."""

    def forward(self, x):  # noqa: D102
        return {"x": x, "state": [Cache(), None, 3]}


class Tail(nn.Module):
    """Takes any number of arguments."""

    def forward(self, *rest):  # noqa: D102
        return rest[0]


def test_calls_are_counted_and_the_first_is_remembered():
    net = Net().eval()
    x = torch.ones(2, 4)
    found = watch(net, {"x": x, "twice": True})
    assert found.count == {net: 1, net.inner: 2, net.norm: 1}
    assert found.first[net] == {"x": TensorLike((2, 4), torch.float32), "twice": Constant(True)}
    assert found.first[net.inner] == {"input": TensorLike((2, 4), torch.float32)}
    assert found.shapes[net.inner] == (2, 4)
    assert net.spare not in found.first


def test_attributes_that_the_run_changed_are_told_and_put_back():
    net = Net().eval()
    found = watch(net, torch.ones(2, 4))
    assert found.changed[net] in ("seen", "steps", "fresh")
    assert net.steps == 0
    assert net.seen == []
    assert "fresh" not in vars(net)
    assert net.inner not in found.changed


def test_buffers_random_state_and_hooks_are_left_as_they_were():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    state = torch.get_rng_state()
    watch(net, torch.ones(2, 4))
    assert net[1].num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_hooks_go_even_where_the_run_raises():
    net = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(Exception, match="shapes"):
        watch(net, torch.ones(2, 5))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_what_cannot_be_told_has_a_name():
    assert watch(net := Returns(), torch.ones(1)).returned == {net: "Cache"}
    assert watch(net := Tail(), torch.ones(1)).first == {net: {"*args": Opaque("*args")}}


def test_the_output_projection_of_attention_is_never_called():
    net = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    x = torch.ones(1, 3, 4)
    assert net.out_proj not in watch(net, (x, x, x)).count
