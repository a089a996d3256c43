"""Packed bytes run while they are those of the weights, and are given up when they are not."""

import copy
import threading
import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call

from rarefy import _native
from rarefy.acceleration._packs import BUFFER, Packs
from rarefy.acceleration._swap import lane_of
from rarefy.errors import TargetError


class Tokens(nn.Module):
    """Reads token ids, so a guard on the dtype of inputs says nothing of the weights."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(10, 8), nn.Linear(8, 16)

    def forward(self, ids):  # noqa: D102
        return self.head(self.table(ids))


def in_place(model):
    with torch.no_grad():
        model[0].weight.mul_(2)


def by_data(model):
    model[0].weight.data = torch.ones(16, 8)


def by_object(model):
    model[2].weight = nn.Parameter(torch.ones(4, 16), requires_grad=False)


@pytest.mark.parametrize("change", [in_place, by_data, by_object])
def test_changed_weights_are_told_once_and_run_dense_and_right(mlp, x, hastened, change):
    fast = hastened(mlp, x)
    change(mlp)
    change(fast)
    with pytest.warns(UserWarning, match="weight changed after rarefy.accelerate"):
        found = fast(x)
    assert torch.allclose(found, mlp(x), atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(fast(x), mlp(x), atol=1e-5)
    assert not lane_of(fast).packs.fresh(fast)


def test_equal_values_written_again_stay_sparse(mlp, x, hastened):
    fast = hastened(mlp, x)
    with torch.no_grad():
        fast[0].weight.copy_(mlp[0].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(fast(x), mlp(x), atol=1e-5)
    assert lane_of(fast).packs.stale is None


def test_a_loaded_state_is_packed_anew(mlp, x, hastened):
    fast = hastened(mlp, x)
    in_place(mlp)
    fast.load_state_dict(mlp.state_dict())
    packs = lane_of(fast).packs
    assert packs.fresh(fast)
    assert torch.allclose(fast(x), mlp(x), atol=1e-5)
    assert torch.allclose(packs.run(fast, 0, [x])[0], mlp(x), atol=1e-5)


def test_compiled_code_sees_a_loaded_state(mlp, x, hastened):
    fast = hastened(mlp, x)
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    with torch.no_grad():
        compiled(x)
        in_place(mlp)  # the same places, so as many bytes
        fast.load_state_dict(mlp.state_dict())
        assert torch.allclose(compiled(x), mlp(x), atol=1e-5)


def test_a_replaced_layer_is_seen(thinned, hastened):
    model = thinned(nn.Sequential(nn.Sequential(nn.Linear(8, 16)), nn.ReLU()))
    x = torch.randn(3, 8)
    fast = hastened(model, x)
    model[0] = fast[0] = nn.Linear(8, 16)
    with pytest.warns(UserWarning, match="0 changed after rarefy.accelerate"):
        found = fast(x)
    assert torch.allclose(found, model(x), atol=1e-5)


def test_threads_that_meet_changed_weights_are_all_answered_right(mlp, x, hastened):
    fast = hastened(mlp, x)
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.copy_(parameter.clone())  # equal values: each may look again
    found = []
    threads = [threading.Thread(target=lambda: found.append(fast(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.allclose(one, mlp(x), atol=1e-5) for one in found)


@pytest.mark.native
@pytest.mark.skipif(_native.kernel_set() == "reference", reason="the library does not run here")
def test_the_library_runs_the_chains(mlp, x, hastened):
    fast = hastened(mlp, x)
    assert [plan.compiled for plan in lane_of(fast).packs.plans] == [True]


def test_functional_call_sees_its_own_weights(mlp, x, hastened):
    fast = hastened(mlp, x)
    other = {name: torch.ones_like(p) for name, p in mlp.named_parameters()}
    with pytest.warns(UserWarning, match="changed"):
        found = functional_call(fast, other, (x,))
    assert torch.allclose(found, functional_call(mlp, other, (x,)), atol=1e-5)


def test_another_dtype_is_seen_though_the_inputs_are_token_ids(thinned, hastened):
    model, ids = thinned(Tokens()), torch.tensor([[1, 2, 3], [4, 5, 6]])
    fast = hastened(model, ids)
    assert lane_of(fast) is not None or lane_of(fast.head) is not None
    fast.to(torch.bfloat16)
    with pytest.warns(UserWarning, match="dtype"):
        found = fast(ids)
    assert found.dtype is torch.bfloat16
    assert torch.equal(found, model.to(torch.bfloat16)(ids))


def test_moved_statistics_of_a_batch_norm_are_seen(thinned, hastened):
    model = thinned(nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    images = torch.randn(3, 2, 6, 6)
    fast = hastened(model, images)
    for one in (model, fast):
        one[1].train()
        one[1](3 + torch.ones(4, 8, 2, 2))
        one[1].eval()
    with pytest.warns(UserWarning, match="changed"):
        found = fast(images)
    assert torch.allclose(found, model(images), atol=1e-5)


def test_bytes_are_buffers_outside_the_state_dict_and_copies_pack_their_own(mlp, x, hastened):
    fast = hastened(mlp, x)
    assert any(name.startswith(BUFFER) for name, _ in fast.named_buffers())
    assert fast.state_dict().keys() == mlp.state_dict().keys()
    other = copy.deepcopy(fast)
    packs = lane_of(other).packs
    assert packs is not lane_of(fast).packs
    assert packs.packed(other, 0).data_ptr() != lane_of(fast).packs.packed(fast, 0).data_ptr()
    assert torch.equal(other(x), fast(x))


def test_removed_bytes_are_gone_and_asking_for_them_raises(mlp, x, hastened):
    fast = hastened(mlp, x)
    packs = lane_of(fast).packs
    fast._buffers[f"{BUFFER}0"] = None
    with pytest.raises(TargetError, match="Accelerate it again"):
        packs.packed(fast, 0)
    packs.remove(fast)
    assert not any(name.startswith(BUFFER) for name in fast._buffers)
    assert packs.plans == []


def test_a_pickled_state_holds_chains_and_the_name_alone():
    assert Packs((), "a.b").__getstate__() == {"chains": (), "where": "a.b"}
