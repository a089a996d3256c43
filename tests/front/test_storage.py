"""Words for the storage."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import AttachError, BudgetError, TargetError, UnknownName
from rarefy.front._storage import twins_for
from rarefy.layers import SparseConv2d, SparseLinear
from rarefy.training import CompressedSparsifier, sparsifier_of


def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 10))


@pytest.mark.parametrize("odd", ["dense", "Compressed", None, 3])
def test_another_storage_is_refused(odd):
    for verb in (
        lambda m: rarefy.sparsify(m, 0.5, storage=odd),
        lambda m: rarefy.hold(m, storage=odd),
    ):
        with pytest.raises(UnknownName, match="write 'masked' or 'compressed'"):
            verb(net())


@pytest.mark.parametrize("odd", [-0.1, float("nan"), float("inf"), "0.1", True, None])
def test_what_is_no_slack_is_refused(odd):
    with pytest.raises(BudgetError, match="slack is the share of slots in reserve"):
        rarefy.sparsify(net(), 0.5, storage="compressed", slack=odd)


@pytest.mark.parametrize("given", [{"slack": 0.5}, {"fully_sparse": True}])
def test_promises_of_compressed_storage_need_it(given):
    with pytest.raises(AttachError, match="storage='compressed'"):
        rarefy.sparsify(net(), 0.5, **given)


def test_layers_are_swapped_and_outputs_are_those_of_masked_storage():
    torch.manual_seed(0)
    dense, compressed = net(), net()
    compressed.load_state_dict(dense.state_dict())
    rarefy.sparsify(dense, 0.9, seed=1)
    sparsifier = rarefy.sparsify(compressed, 0.9, seed=1, storage="compressed", slack=0.25)
    assert isinstance(sparsifier, CompressedSparsifier)
    assert isinstance(compressed[0], SparseConv2d)
    assert isinstance(compressed[2], SparseLinear)
    assert compressed[2].weight_values.numel() == -(-compressed[2].count() * 5 // 4)
    image = torch.randn(4, 3, 4, 4)
    assert torch.allclose(dense(image), compressed(image), atol=1e-5)


def test_the_seed_draws_the_same_numbers():
    for storage in ("masked", "compressed"):
        torch.manual_seed(5)
        model = net()
        masks = rarefy.sparsify(model, 0.5, "static", optimizer=None, storage=storage).masks
        drawn = torch.rand(1)
        if storage == "masked":
            wanted, number = {name: masks[name] for name in masks}, drawn
    assert drawn == number
    assert all(torch.equal(masks[name], wanted[name]) for name in wanted)


def test_what_is_skipped_stays_dense():
    model = net()
    sparsifier = rarefy.sparsify(model, 0.5, storage="compressed", skip="0")
    assert type(model[0]) is nn.Conv2d
    assert list(sparsifier.masks) == ["2.weight"]


def test_a_compressed_model_is_not_compressed_again():
    model = net()
    rarefy.sparsify(model, 0.5, storage="compressed").detach()
    with pytest.raises(TargetError, match=r"0\.weight is compressed already.*rarefy\.hold"):
        rarefy.sparsify(model, 0.9)


def test_hold_takes_a_compressed_model_as_it_is():
    model = nn.Sequential(SparseLinear(8, 8, sparsity=0.5), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    other = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(AttachError, match="holds none of the model's sparse weights"):
        rarefy.hold(model, optimizer=other)
    assert sparsifier_of(model) is None
    held = rarefy.hold(model, optimizer=optimizer)
    assert held.storage == "compressed"
    assert list(held.masks) == ["0.weight"]
    model(torch.randn(3, 8)).sum().backward()
    optimizer.step()
    held.check()
    assert held.step == 1
    held.detach()
    with pytest.raises(TargetError, match="masks= beside a model whose weights are compressed"):
        rarefy.hold(model, masks={"1.weight": torch.ones(4, 8, dtype=torch.bool)})


def test_hold_compresses_what_is_zero():
    model = net()
    mask = torch.rand(10, 32) < 0.3
    held = rarefy.hold(model, masks={"2.weight": mask}, storage="compressed", slack=0.1)
    assert torch.equal(held.masks["2.weight"], mask)
    assert type(model[0]) is nn.Conv2d


def test_what_holds_the_parameters_is_found():
    assert twins_for(net()).wrapper is None
    assert twins_for(nn.DataParallel(net())).wrapper == "DataParallel"
    assert twins_for(nn.Sequential(nn.DataParallel(net()))).wrapper == "DataParallel"
    assert twins_for(net()).supports(nn.Linear(2, 2)) is None
