"""A compressed Sparsifier's public face: prune, averages, state, files."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.swa_utils import AveragedModel

import rarefy
from rarefy.errors import (
    AttachError,
    BudgetError,
    EvidenceError,
    TargetError,
)
from rarefy.training import masks_of, sparsifier_of

WIDE = torch.float64


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10))
    return made.to(WIDE)


def batches(count):
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(8, 12, generator=generator).to(WIDE) for _ in range(count)]


def start(method="set", storage="compressed", model=None, **given):
    model = net() if model is None else model
    optimizer = AdamW(model.parameters(), lr=1e-2)
    words = {"steps": 60, "when": "every 5 until 75%"} if method in ("set", "rigl") else {}
    sparsifier = rarefy.sparsify(
        model, 0.75, method, optimizer=optimizer, seed=3, storage=storage, **words | given
    )
    return model, optimizer, sparsifier


def train(model, optimizer, data):
    for batch in data:
        optimizer.zero_grad()
        (model(batch) - batch[:, :10].sin()).square().mean().backward()
        optimizer.step()


# -- what it says


def test_it_says_what_it_is():
    model, _, sparsifier = start()
    assert sparsifier.storage == "compressed"
    assert repr(sparsifier) == (
        "Sparsifier(set, 88 of 352 weights kept in 2 tensors, step 0, compressed)"
    )
    assert sparsifier.sparsity == sparsifier.masks.sparsity == 0.75
    assert sparsifier.words["growth"] == "random"
    assert sparsifier.aliases() == {"0.weight": ("0.weight",), "2.weight": ("2.weight",)}
    assert sparsifier_of(model) is sparsifier
    assert sparsifier.compress() is sparsifier
    assert sparsifier.history[0] == {"step": 0, "sparsity": 0.75}


def test_it_can_be_printed_when_its_model_is_gone():
    sparsifier = start()[2]
    assert repr(sparsifier) == "Sparsifier(set, its model is gone, step 0, compressed)"


def test_masks_are_read_only_and_those_of_then():
    model, optimizer, sparsifier = start()
    before = sparsifier.masks
    kept = {name: before[name] for name in before}
    before["0.weight"][:] = True
    train(model, optimizer, batches(6))
    assert all(torch.equal(before[name], kept[name]) for name in before)
    assert not torch.equal(sparsifier.masks["0.weight"], kept["0.weight"])
    assert all(torch.equal(masks_of(model)[n], m) for n, m in sparsifier.masks.items())
    copied = copy.deepcopy(model)
    assert sparsifier_of(copied) is None
    assert all(torch.equal(masks_of(copied)[n], m) for n, m in sparsifier.masks.items())


def test_a_copied_optimizer_is_noticed():
    model, optimizer, sparsifier = start("static")
    train(model, optimizer, batches(2))
    other, twin = copy.deepcopy((model, optimizer))
    train(other, twin, batches(2))
    sparsifier.check()
    lost = copy.deepcopy(optimizer)
    lost.param_groups[0]["params"] = list(model.parameters())
    train(model, lost, batches(3))
    with pytest.raises(AttachError, match="no attached optimizer took a step"):
        sparsifier.check()


def test_finalize_leaves_a_model_that_trains_on():
    model, optimizer, sparsifier = start()
    train(model, optimizer, batches(12))
    sparsifier.finalize()
    assert sparsifier_of(model) is None
    kept = masks_of(model)
    train(model, optimizer, batches(12))
    assert all(torch.equal(masks_of(model)[n], m) for n, m in kept.items())
    again = rarefy.hold(model, optimizer=optimizer)
    assert again.storage == "compressed"
    train(model, optimizer, batches(2))
    again.check()


# -- pruning by hand


@pytest.mark.parametrize("allocation", ["global", "uniform", "lamp", "erdos_renyi"])
@pytest.mark.parametrize("pattern", ["unstructured", "block 2x2"])
def test_pruning_is_that_of_masked_storage_and_in_place(allocation, pattern):
    given = {"allocation": allocation, "pattern": pattern}
    masked, compressed = (start("one_shot", word, **given) for word in ("masked", "compressed"))
    for model, optimizer, _ in (masked, compressed):
        train(model, optimizer, batches(5))
    values = compressed[2].weights()
    for _, _, sparsifier in (masked, compressed):
        sparsifier.prune(0.9)
    assert all(new is values[name] for name, new in compressed[2].weights().items())
    for model, optimizer, sparsifier in (masked, compressed):
        train(model, optimizer, batches(5))
        sparsifier.check()
    assert all(torch.equal(masked[2].masks[n], m) for n, m in compressed[2].masks.items())
    for name, found in compressed[2].dense_state_dict().items():
        assert torch.allclose(found, masked[0].state_dict()[name], rtol=0, atol=1e-9)
    assert compressed[2].sparsity == pytest.approx(0.9, abs=0.01)


def test_pruning_by_gradients_needs_data():
    model, _, sparsifier = start("taylor", data=[batches(1)[0]], loss=loss)
    with pytest.raises(EvidenceError, match="pass data= to prune"):
        sparsifier.prune(0.9)
    reference = start("taylor", "masked", data=[batches(1)[0]], loss=loss)
    for each in (sparsifier, reference[2]):
        each.prune(0.9, data=batches(3), loss=loss)
    assert all(torch.equal(reference[2].masks[n], m) for n, m in sparsifier.masks.items())
    assert model[0].weight_values.grad is None


def loss(model, batch):
    return model(batch).square().mean()


def test_pruning_only_removes():
    model, _, sparsifier = start()
    with pytest.raises(BudgetError, match="is removed already"):
        sparsifier.prune(0.5)
    with pytest.raises(BudgetError, match="takes a sparsity"):
        sparsifier.prune("0.9")
    assert model[0].count() == sparsifier.masks["0.weight"].sum()


# -- averages


def test_an_average_is_taken_along():
    model, optimizer, sparsifier = start()
    dense, masked_optimizer, masked = start(storage="masked")
    average, wanted = AveragedModel(model), AveragedModel(dense)
    for batch in batches(12):
        for one, steps, mean, owner in (
            (model, optimizer, average, sparsifier),
            (dense, masked_optimizer, wanted, masked),
        ):
            train(one, steps, [batch])
            owner.apply_(mean)
            mean.update_parameters(one)
    assert all(torch.equal(masks_of(average.module)[n], m) for n, m in sparsifier.masks.items())
    for name, storage in sparsifier.storages().items():
        found = average.module.get_submodule(name.removesuffix(".weight")).dense_weight()
        assert torch.allclose(found, wanted.module.get_parameter(name), rtol=0, atol=1e-9)
        del storage


def test_no_copy_of_the_model_is_named():
    made = start()
    with pytest.raises(TargetError, match=r"no compressed weight '0\.weight'"):
        made[2].apply_(net())


# -- files


def test_a_file_has_the_ordinary_keys_and_loads_into_a_dense_model(tmp_path):
    model, optimizer, sparsifier = start()
    train(model, optimizer, batches(12))
    with torch.no_grad():  # a living weight that happens to be zero stays a living one
        model[0].weight_values[5] = 0.0
    path = tmp_path / "net.safetensors"
    rarefy.save(model, path)
    wanted = sparsifier.dense_state_dict()
    found = rarefy.load(path, net())
    assert list(found.state_dict()) == list(wanted)
    assert all(torch.equal(value, wanted[key]) for key, value in found.state_dict().items())
    kept = rarefy.files.read_masks(path)
    assert all(torch.equal(kept[name], mask) for name, mask in sparsifier.masks.items())
    sparsifier.detach()
    rarefy.save(model, path)
    kept = rarefy.files.read_masks(path)
    assert all(torch.equal(kept[name], mask) for name, mask in masks_of(model).items())
    dense = rarefy.load(path, net())
    held = rarefy.hold(dense, masks=kept, storage="compressed")
    assert all(torch.equal(held.masks[name], mask) for name, mask in kept.items())


def test_sgd_without_momentum_has_no_state_to_move():
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.75, "rigl", optimizer=optimizer, steps=40, when="every 5", storage="compressed"
    )
    train(model, optimizer, batches(12))
    sparsifier.check()
