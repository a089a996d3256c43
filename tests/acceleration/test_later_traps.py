"""The later traps of capturing a model, from derivatives on; numbered as in the notes."""

import copy
import pickle
import subprocess
import sys
import threading
import warnings

import pytest
import torch
from torch import nn

from rarefy.acceleration import accelerated
from rarefy.acceleration._swap import lane_of
from rarefy.kernels import Plan


# Torch's own forward-mode AD uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_13_derivatives_and_vmap_are_right(name, nets):
    model, example = nets.made(name)
    fast = nets.fast(name)
    x = example(2, 0)

    def single(net):
        return lambda one: net(one[None])[0]

    for of in (
        lambda net: torch.vmap(single(net))(x),
        lambda net: torch.func.grad(lambda v: net(v).sum())(x),
        lambda net: torch.func.jvp(net, (x,), (torch.ones_like(x),))[1],
    ):
        found, wanted = of(fast), of(model)
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3)
        assert found.abs().sum() > 0


def test_14_two_threads_may_make_the_first_call(nets):
    model, example = nets.made("counter")  # single layers, packed when they are first called
    inputs = example(2, 0)
    wanted = nets.run(model, inputs)
    for _ in range(5):
        fast = copy.deepcopy(nets.fast("counter"))
        found = []
        both = threading.Barrier(2)

        def call(fast=fast, found=found, both=both):
            both.wait()
            found.append(nets.run(fast, inputs))

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(nets.same(f["y"], wanted["y"]) for f in found)


@pytest.mark.slow
def test_15_an_exported_program_needs_the_operations_registered(nets, tmp_path):
    model, example = nets.made("tied")
    x = example(2, 5)
    with torch.no_grad():
        exported = torch.export.export(nets.fast("tied"), (x,), strict=False)
    torch.export.save(exported, tmp_path / "net.pt2")
    torch.save((x, nets.run(model, x)), tmp_path / "pair.pt")
    program = (
        "import sys, torch, rarefy.kernels\n"
        "net = torch.export.load(sys.argv[1] + '/net.pt2').module()\n"
        "x, y = torch.load(sys.argv[1] + '/pair.pt')\n"
        "assert torch.allclose(net(x), y, atol=1e-4)"
    )
    code = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    answer = subprocess.run(code, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_16_a_unit_that_is_a_leaf_comes_back_from_a_pickle(nets, chains):
    layer = nets.pruned(nn.Linear(8, 8))
    layer.me = [layer]  # a cycle, as a guard that refers back makes one
    fast = accelerated(layer, torch.randn(2, 8), stopwatch=nets.sparse_wins())
    again = pickle.loads(pickle.dumps(fast))
    assert again.me[0] is again
    x = torch.randn(3, 8)
    chains()
    assert torch.equal(nets.run(again, x), nets.run(fast, x))
    assert chains() == 2


def test_17_token_ids_say_nothing_about_the_weights(nets):
    model, example = nets.made("tied")
    fast = nets.fast("tied")
    inputs = example(2, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = nets.run(fast.half(), inputs)
    assert found.dtype == torch.float16
    assert torch.equal(found, nets.run(model.half(), inputs))


def test_plans_are_not_shared_by_copies(nets):
    fast = nets.fast("mlp")
    other = copy.deepcopy(fast)
    mine, theirs = lane_of(fast).packs.plans[0], lane_of(other).packs.plans[0]
    assert isinstance(mine, Plan)
    assert mine is not theirs
