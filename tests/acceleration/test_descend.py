"""From the largest module down: what fails is named, and its children are tried."""

import pytest
import torch
from torch import nn

from rarefy.acceleration._build import accelerated


class Counts(nn.Module):
    """Changes an attribute in each call."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, x):  # noqa: D102
        self.calls += 1
        return self.inner(x)


class Prints(Counts):
    """Branches on values, which no graph has."""

    def forward(self, x):  # noqa: D102
        return self.inner(x) if x.sum() > 1e9 else self.inner(x) + 1


class Box:
    """No tensor."""

    def __init__(self, values):
        self.values = values


class Boxes(Counts):
    """Gives no tensor."""

    def forward(self, x):  # noqa: D102
        return Box(self.inner(x))


class Takes(Counts):
    """Takes a list."""

    def forward(self, x, more):  # noqa: D102
        return self.inner(x) + more[0]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Counts, "changes an attribute (calls)"),
        (Prints, "tracing raised"),
        (Boxes, "it gives a Box"),
    ],
)
def test_a_module_that_cannot_be_captured_leaves_its_child_to_be(mlp, x, sparse_wins, kind, why):
    model = kind(mlp).eval()
    fast = accelerated(model, x, stopwatch=sparse_wins)
    assert fast.record["captured"] == ["inner"]
    (left,) = fast.record["uncaptured"]
    assert (left["module"], left["class"]) == ("", kind.__name__)
    assert why in left["why"]
    found, wanted = fast(x), model(x)
    if kind is Boxes:
        found, wanted = found.values, wanted.values
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_side_effects_of_a_module_that_was_not_captured_go_on(mlp, x, sparse_wins):
    fast = accelerated(Counts(mlp).eval(), x, stopwatch=sparse_wins)
    before = fast.calls
    fast(x)
    fast(x)
    assert fast.calls == before + 2


def test_an_argument_that_cannot_be_told_is_named(mlp, x, sparse_wins):
    fast = accelerated(Takes(mlp).eval(), (x, [torch.ones(4)]), stopwatch=sparse_wins)
    assert "its argument more is a list" in fast.record["uncaptured"][0]["why"]
    assert fast.record["captured"] == ["inner"]


def test_hooks_inside_go_on_being_called(mlp, x, sparse_wins):
    seen = []
    mlp[1].register_forward_hook(lambda *_: seen.append(1))
    fast = accelerated(mlp, x, stopwatch=sparse_wins)
    assert fast.record["captured"] == []
    assert "a forward hook on 1 would no longer be called" in fast.record["uncaptured"][0]["why"]
    assert fast.record["leaves"] == ["0", "2"]
    seen.clear()
    fast(x)
    assert len(seen) == 1


def test_a_list_of_modules_is_gone_through_without_a_word(thinned, x, sparse_wins):
    class Lists(Counts):
        def forward(self, x):
            self.calls += 1
            for layer in self.inner:
                x = layer(x)
            return x

    blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(2)]
    model = thinned(Lists(nn.ModuleList(blocks)))
    fast = accelerated(model, x, stopwatch=sparse_wins)
    assert fast.record["captured"] == ["inner.0", "inner.1"]
    assert [row["module"] for row in fast.record["uncaptured"]] == [""]


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (nn.GRU(8, 8), [(2, 3, 8), (4, 1, 8)]),
        (nn.LSTM(8, 8, batch_first=True), [(2, 3, 8), (1, 5, 8)]),
    ],
)
def test_recurrent_layers_stay_as_they_are_and_say_why(thinned, sparse_wins, model, shapes):
    thinned(model)
    fast = accelerated(model, torch.randn(shapes[0]), stopwatch=sparse_wins)
    assert fast.record["captured"] == []
    assert all(row["why"] and not row["kept"] for row in fast.record["layers"])
    assert len(fast.record["layers"]) == 2
    for shape in shapes:
        x = torch.randn(shape)
        assert torch.equal(fast(x)[0], model(x)[0])


def test_attention_that_torch_would_run_in_one_piece_is_looked_into(thinned, sparse_wins):
    model = thinned(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True))
    fast = accelerated(model, torch.randn(2, 5, 16), stopwatch=sparse_wins)
    assert fast.record["captured"] == [""]
    kept = {row["name"] for row in fast.record["layers"] if row["kept"]}
    assert kept >= {"linear1.weight", "linear2.weight", "self_attn.out_proj.weight"}
    for shape in ((2, 5, 16), (1, 7, 16)):
        x = torch.randn(shape)
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
