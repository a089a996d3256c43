"""The traps of capturing a model, each as a test; numbered as in the notes they come from."""

import io
import pickle

import pytest
import torch
from torch import nn

from rarefy.acceleration import accelerated
from rarefy.acceleration._arguments import TensorLike
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._trace import trace


class Twins(nn.Module):
    """Two chains that read alike."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):  # noqa: D102
        return torch.tanh(self.one(x)), torch.tanh(self.other(x.sin()))


class Fused(nn.TransformerEncoderLayer):
    """Counts its calls, so that it is not captured."""

    def __init__(self):
        super().__init__(16, 2, 32, batch_first=True)
        self.count = 0

    def forward(self, *args, **kwargs):  # noqa: D102
        self.count += 1
        return super().forward(*args, **kwargs)


def test_01_a_batch_of_one_does_not_pin_the_batch(nets, chains):
    model, example = nets.made("mlp")
    fast = accelerated(model, example(1, 0), stopwatch=nets.sparse_wins())
    chains()
    for batch in (1, 2, 9):
        inputs = example(batch, 0)
        assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))
    assert chains() == 3


def test_01_code_that_asks_for_a_batch_of_one_gets_its_own(nets, chains):
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            y = self.layer(x)
            return y + 1 if x.shape[0] == 1 else y

    model = nets.pruned(Asks())
    for first in (1, 4):
        fast = accelerated(model, torch.randn(first, 8), stopwatch=nets.sparse_wins())
        for batch in (1, 4, 5):
            x = torch.randn(batch, 8)
            assert nets.same(nets.run(fast, x), nets.run(model, x))
    chains()
    nets.run(fast, torch.randn(5, 8))
    assert chains() == 1


def test_02_of_images_only_the_batch_is_open():
    layer = nn.Conv2d(3, 4, 3).eval().requires_grad_(False)
    found = trace(layer, {"input": TensorLike((2, 3, 9, 9), torch.float32)})
    assert found.pinned == {"input": (None, 3, 9, 9)}


def test_03_a_size_that_is_fixed_is_seen_though_it_is_a_symbol(nets, chains):
    model, example = nets.made("lstm")
    fast = nets.fast("lstm")
    assert lane_of(fast).accepts.wanted["x"].sizes == (None, 7, 8)
    chains()
    inputs = example(2, 9)
    assert nets.same(nets.run(fast, inputs), nets.run(model, inputs))


def test_04_layers_that_are_never_called_are_named(nets):
    layer, x = nets.pruned(Fused()), torch.randn(2, 5, 16)
    fast = accelerated(layer, x, stopwatch=nets.sparse_wins())
    assert nets.same(nets.run(fast, x), nets.run(layer, x))
    rows = {row["name"]: row for row in fast.record["layers"]}
    for name in ("linear1.weight", "linear2.weight", "self_attn.out_proj.weight"):
        assert not rows[name]["kept"]
        assert "never called it" in rows[name]["why"]
    assert "never called" in rows["self_attn.in_proj_weight"]["why"]


def test_04_captured_as_a_whole_they_run(nets, chains):
    _, example = nets.made("encoder")
    fast = nets.fast("encoder")
    chains()
    nets.run(fast, example(2, 7))
    assert chains() == 6
    assert all(row["kept"] for row in fast.record["layers"])


def test_05_arguments_are_matched_by_order(nets, chains):
    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, input, self_=None, *, scale=1.0):  # noqa: A002
            y = self.layer(input) * scale
            return y if self_ is None else y + self_

    model = nets.pruned(Renamed())
    x, y = torch.randn(2, 8), torch.randn(2, 8)
    fast = accelerated(model, {"self_": y, "input": x}, stopwatch=nets.sparse_wins())
    chains()
    with torch.no_grad():
        assert nets.same(fast(x, y), model(x, y))
        assert nets.same(fast(x, self_=y), model(x, self_=y))
        assert chains() == 2
        assert nets.same(fast(x), model(x))
        assert nets.same(fast(x, y, scale=2.0), model(x, y, scale=2.0))


def test_06_a_setting_that_changes_later_is_obeyed(nets, chains):
    class Settings:
        def __init__(self):
            self.twice = False

    class Configured(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.config, self.negate = nn.Linear(8, 8), Settings(), False

        def forward(self, x):
            y = self.layer(x)
            y = y + y if self.config.twice else y
            return -y if self.negate else y

    model = nets.pruned(Configured())
    x = torch.randn(2, 8)
    fast = accelerated(model, x, stopwatch=nets.sparse_wins())
    for net in (model, fast):
        net.config.twice = True
    assert nets.same(nets.run(fast, x), nets.run(model, x))
    for net in (model, fast):
        net.config.twice, net.negate = False, True
    assert nets.same(nets.run(fast, x), nets.run(model, x))
    fast.negate = False
    chains()
    nets.run(fast, x)
    assert chains() == 1


def test_07_side_effects_and_hooks_go_on(nets):
    model, example = nets.made("counter")
    fast = nets.fast("counter")
    assert fast.count == model.count == 0
    for _ in range(3):
        nets.run(fast, example(2, 0))
    assert fast.count == 3
    seen = []
    model, example = nets.made("mlp")
    model[0].register_forward_hook(lambda *_: seen.append(1))
    fast = accelerated(model, example(2, 0), stopwatch=nets.sparse_wins())
    seen.clear()
    nets.run(fast, example(2, 0))
    assert seen
    assert "hook" in fast.record["uncaptured"][0]["why"]


def test_08_inputs_of_any_strides_give_the_same_compiled(nets):
    model, _ = nets.made("mlp")
    fast = nets.fast("mlp")
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    x = torch.randn(8, 5).t()
    for net in (fast, compiled):
        found = nets.run(net, x)
        assert found.is_contiguous()
        assert nets.same(found, nets.run(model, x))
    torch._dynamo.reset()


def test_09_chains_of_one_text_are_told_apart(nets):
    model = nets.pruned(Twins())
    x = torch.randn(3, 8)
    fast = accelerated(model, x, stopwatch=nets.sparse_wins())
    programs = [chain.program for chain in lane_of(fast).packs.chains]
    assert len(programs) == 2
    assert programs[0] == programs[1]
    assert nets.same(nets.run(fast, x), nets.run(model, x))
    again = pickle.loads(pickle.dumps(fast))
    assert nets.same(nets.run(again, x), nets.run(model, x))


def test_10_a_recurrent_net_compiles_no_worse_than_before(nets):
    model, example = nets.made("lstm")
    fast = nets.fast("lstm")
    for net in (model, fast):
        with pytest.raises(torch._dynamo.exc.Unsupported):
            nets.run(torch.compile(net, backend="eager", fullgraph=True), example(2, 7))
    torch._dynamo.reset()


def test_11_an_exported_file_does_not_hold_the_dense_weights(nets):
    model = nets.pruned(nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)), 0.05)
    x = torch.randn(2, 256)
    fast = accelerated(model, x, stopwatch=nets.sparse_wins())
    sizes = []
    for net in (model.requires_grad_(False), fast):
        file = io.BytesIO()
        with torch.no_grad():
            torch.export.save(torch.export.export(net, (x,), strict=False), file)
        sizes.append(len(file.getvalue()))
    assert sizes[1] < 0.5 * sizes[0]


def test_12_a_whole_model_is_loaded_only_where_code_is_trusted(nets):
    model, example = nets.made("mlp")
    file = io.BytesIO()
    torch.save(nets.fast("mlp"), file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    inputs = example(2, 0)
    assert nets.same(nets.run(found, inputs), nets.run(model, inputs))
