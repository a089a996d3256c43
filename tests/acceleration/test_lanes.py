"""When lanes are open, and that the module's own code answers every other call."""

import copy
import threading

import pytest
import torch
from torch import nn

from rarefy.acceleration._lanes import NO, LeafLane
from rarefy.acceleration._leaf import leaf_piece
from rarefy.acceleration._swap import lane_of
from rarefy.acceleration._translate import alone


@pytest.fixture
def layer(thinned):
    """A sparse layer, frozen."""
    return thinned(nn.Linear(8, 4)).requires_grad_(False)


def lane_for(layer, *, at_once=True):
    rank = 4 if isinstance(layer, nn.Conv2d) else 2
    lane = LeafLane(alone(leaf_piece(layer), layer, rank), "it", at_once=at_once)
    lane.revive(layer)
    return lane


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 8), (2, 1, 2, 8), (0, 8)])
def test_a_layer_takes_any_leading_sides(layer, shape):
    x = torch.randn(shape)
    for args, kwargs in (((x,), {}), ((), {"input": x})):
        found = lane_for(layer).call(layer, args, kwargs)
        torch.testing.assert_close(found, layer(x), rtol=1e-5, atol=1e-6)


def test_a_layer_takes_inputs_that_do_not_lie_in_order(layer):
    x = torch.randn(8, 5, 2).permute(2, 1, 0)
    torch.testing.assert_close(lane_for(layer).call(layer, (x,), {}), layer(x))


def test_a_convolution_takes_batches_of_images_alone(thinned):
    layer = thinned(nn.Conv2d(3, 4, 3, padding=1)).requires_grad_(False)
    lane, x = lane_for(layer), torch.randn(2, 3, 5, 6)
    for images in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(lane.call(layer, (images,), {}), layer(x), rtol=1e-5, atol=1e-5)
    assert lane.call(layer, (x[0],), {}) is NO
    assert lane.call(layer, (x[:, :2],), {}) is NO


@pytest.mark.parametrize(
    "args",
    [
        (torch.ones(3, 8).double(),),
        (torch.ones(3, 7),),
        (torch.tensor(1.0),),
        (torch.ones(3, 8).to_sparse(),),
        (torch.ones(3, 8, device="meta"),),
        (torch.ones(3, 8, requires_grad=True),),
        (torch.ones(3, 8), 1),
        ([1.0] * 8,),
        (),
    ],
)
def test_any_other_call_of_a_layer_is_its_own(layer, args):
    assert lane_for(layer).call(layer, args, {}) is NO


def test_training_autocast_and_gradients_close_a_lane(layer):
    lane, x = lane_for(layer), torch.ones(3, 8)
    assert lane.open_to(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert not lane.open_to(layer)
    layer.train()
    assert lane.call(layer, (x,), {}) is NO
    layer.eval().requires_grad_(True)
    assert lane.call(layer, (x,), {}) is NO
    with torch.no_grad():
        assert lane.call(layer, (x,), {}) is not NO


def test_a_layer_that_is_not_packed_at_once_is_packed_by_its_first_call(layer):
    lane, x = lane_for(layer, at_once=False), torch.randn(3, 8)
    assert lane.packs.plans == []
    assert lane.call(layer, (x.double(),), {}) is NO
    assert lane.packs.plans == []
    torch.testing.assert_close(lane.call(layer, (x,), {}), layer(x), rtol=1e-5, atol=1e-6)
    assert len(lane.packs.plans) == 1


def test_first_calls_from_many_threads_give_the_same(layer):
    lane, x = lane_for(layer, at_once=False), torch.randn(3, 8)
    barrier, found = threading.Barrier(6), []

    def call():
        barrier.wait()
        found.append(lane.call(layer, (x,), {}))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(lane.packs.plans) == 1
    for one in found:
        torch.testing.assert_close(one, layer(x), rtol=1e-5, atol=1e-6)


def test_a_weight_of_another_type_by_the_first_call_leaves_the_layer_to_itself(layer):
    lane = lane_for(layer, at_once=False)
    layer.weight = nn.Parameter(layer.weight.double(), requires_grad=False)
    assert lane.call(layer, (torch.ones(3, 8),), {}) is NO


def test_a_unit_answers_only_calls_like_its_example(mlp, x, hastened):
    fast = hastened(mlp, x)
    lane = lane_of(fast)
    torch.testing.assert_close(lane.call(fast, (x,), {}), mlp(x), rtol=1e-5, atol=1e-6)
    assert lane.call(fast, (x.double(),), {}) is NO
    assert lane.call(fast, (x[None],), {}) is NO
    assert lane.call(fast, (), {"other": x}) is NO
    fast.later = "a new attribute is no setting"
    assert lane.call(fast, (x,), {}) is not NO


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own
def test_transforms_of_torch_func_see_the_plain_layers(mlp, x, hastened):
    fast = hastened(mlp, x)
    torch.testing.assert_close(torch.func.vmap(fast)(x), mlp(x), rtol=1e-5, atol=1e-6)
    direction = torch.randn_like(x)
    _, found = torch.func.jvp(fast, (x,), (direction,))
    _, wanted = torch.func.jvp(mlp, (x,), (direction,))
    assert wanted.abs().sum() > 0
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    one = torch.func.jacrev(fast)(x[0])
    torch.testing.assert_close(one, torch.func.jacrev(mlp)(x[0]), rtol=1e-5, atol=1e-6)


def test_autocast_gives_the_type_that_the_model_gives(mlp, x, hastened):
    fast = hastened(mlp, x)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = fast(x), mlp(x)
    assert found.dtype is wanted.dtype is torch.bfloat16
    torch.testing.assert_close(found, wanted)


def test_copies_run_by_themselves(mlp, x, hastened):
    fast = hastened(mlp, x)
    other = copy.deepcopy(fast)
    assert lane_of(other) is not lane_of(fast)
    with torch.no_grad():
        fast[0].weight.zero_()
    torch.testing.assert_close(other(x), mlp(x), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_trace_of_torch_jit_takes_other_batches(mlp, x, hastened):
    traced = torch.jit.trace(hastened(mlp, x), x, check_trace=False)
    other = torch.randn(5, 8)
    torch.testing.assert_close(traced(other), mlp(other), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_dynamo_takes_the_lane_without_a_break(mlp, x, hastened):
    seen = []

    def backend(module, _inputs):
        seen.extend(str(node.target) for node in module.graph.nodes)
        return module.forward

    compiled = torch.compile(hastened(mlp, x), backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x), mlp(x), rtol=1e-5, atol=1e-6)
    assert any("rarefy.chain" in name for name in seen)


class Scaled(nn.Module):
    """Reads a plain number of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.scale = inner, 2.0

    def forward(self, x):  # noqa: D102
        return self.inner(x) * self.scale


def test_a_setting_that_was_taken_in_is_not_ignored_when_it_changes(mlp, x, hastened):
    model = Scaled(mlp)
    fast = hastened(model, x)
    assert lane_of(fast).call(fast, (x,), {}) is not NO
    model.scale = fast.scale = 3.0
    assert lane_of(fast).call(fast, (x,), {}) is NO
    torch.testing.assert_close(fast(x), model(x), rtol=1e-5, atol=1e-6)
    fast.scale = 2.0
    assert lane_of(fast).call(fast, (x,), {}) is not NO


class Half(nn.Module):
    """Reads token ids, whose dtype says nothing of the weights."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(10, 8), nn.Linear(8, 16)

    def forward(self, ids):  # noqa: D102
        return self.head(self.table(ids))


@pytest.mark.filterwarnings("ignore:.*changed after rarefy.accelerate:UserWarning")
def test_a_model_of_tokens_in_another_dtype_runs_its_own_layers(thinned, hastened):
    model, ids = thinned(Half()), torch.tensor([[1, 2, 3]])
    fast = hastened(model, ids).to(torch.bfloat16)
    found = fast(ids)
    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found, model.to(torch.bfloat16)(ids))
