"""The floor: layers that run sparse by themselves, and a row with a reason for all others."""

import pytest
import torch
from torch import nn

from rarefy.acceleration import accelerated
from rarefy.acceleration._calls import watch
from rarefy.acceleration._choose import Wish
from rarefy.acceleration._findings import Findings
from rarefy.acceleration._floor import lay_floor
from rarefy.acceleration._judge import Judge
from rarefy.acceleration._lanes import LeafLane
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._timings import Timings


@pytest.fixture
def laid(sparse_wins, dense_wins):
    """Lays a floor below an uncaptured model, and gives what was found."""

    def make(model, example, wish=None, *, wins=True):
        model.eval().requires_grad_(False)
        findings = Findings()
        judge = Judge(0.1, sparse_wins if wins else dense_wins, Timings(None))
        lay_floor(model, watch(model, example), judge, wish or Wish(), findings)
        return findings

    return make


def test_layers_that_win_alone_get_a_lane_and_keep_their_numbers(mlp, x, laid):
    wanted = mlp(x)
    found = laid(mlp, x)
    assert found.leaves == ["0", "2"]
    assert isinstance(lane_of(mlp[0]), LeafLane)
    assert lane_of(mlp[1]) is None
    row = found.layers["0.weight"]
    assert (row.kept, row.input, row.why) == (True, (3, 8), "10.00x dense alone")
    assert row.bytes_dense == 4 * 16 * 8
    assert row.bytes_packed == lane_of(mlp[0]).packs.packed(mlp[0], 0).numel()
    torch.testing.assert_close(mlp(x), wanted, rtol=1e-5, atol=1e-6)


def test_layers_that_lose_have_none_but_for_memory(mlp, x, laid):
    found = laid(mlp, x, wins=False)
    assert found.leaves == []
    assert found.layers["2.weight"].why == "0.50x dense alone; 1.1x is wanted"
    assert lane_of(mlp[0]) is None
    assert laid(mlp, x, Wish("memory"), wins=False).leaves == ["0", "2"]


def test_a_convolution_is_told_with_its_stride_and_padding(thinned, laid):
    net = thinned(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)))
    x = torch.randn(2, 3, 7, 7)
    wanted = net(x)
    row = laid(net, x).layers["0.weight"]
    assert (row.op, row.shape, row.input) == ("conv", (4, 3, 3, 3), (2, 3, 7, 7))
    assert (row.stride, row.pad, row.kept) == ((2, 2), (1, 1), True)
    torch.testing.assert_close(net(x), wanted, rtol=1e-5, atol=1e-6)


class Many(nn.Module):
    """A layer of each kind that has no lane."""

    def __init__(self):
        super().__init__()
        self.full = nn.Linear(8, 8)
        self.spare = nn.Linear(8, 8)
        self.groups = nn.Conv1d(8, 8, 1, groups=2)
        self.two = nn.Conv2d(2, 2, 1, groups=2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrent = nn.GRU(8, 8)
        self.double = nn.Linear(8, 8).double()

    def forward(self, x):  # noqa: D102
        x = self.full(x)
        x = self.attention(x, x, x)[0]
        return self.recurrent(x)[0]


def test_every_weight_has_a_row_that_says_why_not(thinned, laid):
    model = thinned(Many())
    with torch.no_grad():
        model.full.weight.fill_(1)
    found = laid(model, torch.randn(2, 3, 8))
    assert found.leaves == []
    why = {name: row.why for name, row in found.layers.items()}
    assert "0% of its weights are zero" in why["full.weight"]
    assert "the example never called it" in why["spare.weight"]
    assert "groups=2" in why["two.weight"]
    # Attention multiplies by the weight itself: a lane on this layer would never be asked.
    assert "reads its weight by itself" in why["attention.out_proj.weight"]
    assert "no sparse kernel outside" in why["attention.in_proj_weight"]
    assert "GRU has no sparse kernel" in why["recurrent.weight_ih_l0"]
    assert "never called the layer" in why["groups.weight"]
    assert "torch.float64" in why["double.weight"]
    assert not any(row.kept for row in found.layers.values())


class Asks(nn.Module):
    """Takes another path where a flag says so, so that captured code does not answer it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, more=False):  # noqa: D102
        return self.inner(x) + 1 if more else self.inner(x)


def test_inside_captured_code_a_layer_is_packed_when_a_call_goes_past_it(mlp, x, sparse_wins):
    model = Asks(mlp).eval()
    fast = accelerated(model, x, stopwatch=sparse_wins)
    assert fast.record["captured"] == [""]
    lane = lane_of(fast.inner[0])
    assert not lane.at_once
    fast(x)
    assert lane.packs.plans == []
    torch.testing.assert_close(fast(x, more=True), model(x, more=True), rtol=1e-5, atol=1e-6)
    assert len(lane.packs.plans) == 1
