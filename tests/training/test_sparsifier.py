"""The Sparsifier's own verbs: attach, detach, finalize, prune, apply_, log."""

import copy

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import rarefy
from rarefy.errors import AttachError, BudgetError, EvidenceError, TargetError


def test_what_it_says_of_itself(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.75, "rigl", optimizer=optimizer, steps=100, seed=0)
    assert sparsifier.model is model
    assert sparsifier.method == "rigl"
    assert sparsifier.words == {
        "score": "magnitude",
        "pattern": "unstructured",
        "allocation": "erdos_renyi_kernel",
        "when": "every 5 until 75",
        "growth": "gradient",
    }
    assert sparsifier.sparsity == 0.75
    assert sparsifier.storage == "masked"
    assert repr(sparsifier) == (
        "Sparsifier(rigl, 98 of 392 weights kept in 3 tensors, step 0, masked)"
    )
    assert sparsifier.aliases() == {name: (name,) for name in sparsifier.masks}


def test_masks_are_read_only(lab):
    sparsifier = rarefy.sparsify(lab_model := lab.build(), 0.5)
    mask = sparsifier.masks["0.weight"]
    mask.fill_(False)
    assert sparsifier.masks["0.weight"].any()
    with pytest.raises(TypeError):
        sparsifier.masks["0.weight"] = mask
    del lab_model


# -- one shot, then training


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_one_shot_then_attach(lab, kind):
    model = lab.build()
    optimizer = kind(model.parameters(), lr=1e-2)
    lab.train(model, optimizer, lab.batches(3))
    sparsifier = rarefy.sparsify(model, 0.9)
    assert not sparsifier.attached
    masks = sparsifier.masks
    sparsifier.attach(optimizer)
    assert sparsifier.attached
    lab.train(model, optimizer, lab.batches(10), lambda: lab.assert_zeros(sparsifier, optimizer))
    assert sparsifier.masks is masks
    assert sparsifier.step == 10


def test_hold_keeps_the_zeros_that_are_there(lab):
    model = lab.build()
    with torch.no_grad():
        model[0].weight[:, ::3] = 0.0
    optimizer = AdamW(model.parameters(), lr=1e-2)
    held = rarefy.hold(model, optimizer=optimizer)
    assert int((~held.masks["0.weight"]).sum()) == 64
    assert held.masks["2.weight"].all()
    lab.train(model, optimizer, lab.batches(10), lambda: lab.assert_zeros(held, optimizer))
    held.check()
    assert held.masks.kept == 392 - 64


def test_hold_takes_masks_of_your_own(lab):
    model = lab.build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    mask = torch.zeros(10, 16, dtype=torch.bool)
    mask[:, 3] = True
    held = rarefy.hold(model, optimizer=optimizer, masks={"2.weight": mask})
    mask.fill_(True)  # it is a copy
    assert list(held.masks) == ["2.weight"]
    lab.train(model, optimizer, lab.batches(10), lambda: lab.assert_zeros(held, optimizer))
    assert int((model[2].weight != 0).sum()) == 10
    assert (model[0].weight != 0).all()


# -- pruning by hand


def test_prune_is_absolute_and_nested(lab):
    model = lab.build()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    sparsifier = rarefy.sparsify(model, 0.5)
    sparsifier.attach(optimizer)
    before = sparsifier.masks
    for sparsity, kept in [(0.8, 78), (0.9, 39), (0.95, 20), (0.95, 20)]:
        lab.train(model, optimizer, lab.batches(3))
        sparsifier.prune(sparsity)
        lab.assert_zeros(sparsifier, optimizer)
        assert sparsifier.masks.kept == kept
        assert not any((sparsifier.masks[name] & ~before[name]).any() for name in before)
        before = sparsifier.masks
    assert sparsifier.history[-1]["sparsity"] == 1 - 20 / 392


def test_prune_takes_the_smallest_of_all(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    values = torch.cat([w.detach().flatten() for w in sparsifier.weights().values()]).abs()
    wanted = values >= values.sort(descending=True).values[38]
    sparsifier.prune(0.9)
    assert torch.equal(torch.cat([m.flatten() for m in sparsifier.masks.values()]), wanted)


def test_prune_by_gradients(lab):
    model = lab.build()
    data = lab.batches(2)
    sparsifier = rarefy.sparsify(model, 0.5, "gradient", data=data)
    with pytest.raises(EvidenceError, match="gradient"):
        sparsifier.prune(0.9)
    assert sparsifier.masks.kept == 196
    sparsifier.prune(0.9, data=data)
    assert sparsifier.masks.kept == 39
    assert model[0].weight.grad is None


@pytest.mark.parametrize(
    ("sparsity", "words"),
    [
        (0.4, r"is absolute, and 0\.5000 is removed"),
        (95, r"Did you mean 0\.95"),
        (1.0, r"\[0, 1\)"),
        (-0.1, r"\[0, 1\)"),
        (float("nan"), r"\[0, 1\)"),
        ("2:4", "'2:4'"),
        (True, "True"),
    ],
)
def test_prune_refuses(lab, sparsity, words):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    masks, weight = sparsifier.masks, model[0].weight.detach().clone()
    with pytest.raises(BudgetError, match=words):
        sparsifier.prune(sparsity)
    assert sparsifier.masks is masks
    assert torch.equal(model[0].weight, weight)


def test_prune_cannot_go_beyond_a_pattern_that_fixes_the_sparsity(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, "2:4", skip="4")
    with pytest.raises(BudgetError, match=r"2:4 fixes the sparsity at 0\.5"):
        sparsifier.prune(0.9)


# -- letting go


@pytest.mark.parametrize("verb", ["detach", "finalize"])
def test_letting_go_leaves_a_plain_model(lab, verb):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, steps=40, when="every 4 until 75%", seed=0
    )
    data = lab.batches(12)
    lab.train(model, optimizer, data[:6])
    lab.assert_zeros(sparsifier, optimizer)
    getattr(sparsifier, verb)()
    assert not sparsifier.attached
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any(weight._backward_hooks for weight in model.parameters())
    lab.assert_zeros(sparsifier, optimizer)  # zeros stay where they are, for now
    twin, plain = copy.deepcopy((model, optimizer))
    lab.train(model, optimizer, data[6:])
    lab.train(twin, plain, data[6:])
    assert torch.equal(model[0].weight, twin[0].weight)
    assert (model[0].weight != 0).all()  # trained densely again
    assert sparsifier.step == 6
    sparsifier.detach()


def test_attach_again(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = rarefy.sparsify(model, 0.5, "static", optimizer=optimizer, seed=0)
    sparsifier.detach()
    lab.train(model, optimizer, lab.batches(2))
    assert model[0].weight.all()
    sparsifier.attach(optimizer)
    lab.assert_zeros(sparsifier, optimizer)
    lab.train(model, optimizer, lab.batches(2), sparsifier.check)
    assert rarefy.training.sparsifier_of(model) is sparsifier


def test_finalize_after_one_shot(lab):
    model = lab.build()
    sparsifier = rarefy.sparsify(model, 0.5)
    sparsifier.finalize()
    assert rarefy.training.sparsifier_of(model) is None
    assert int((model[0].weight == 0).sum()) > 0


def test_attach_takes_optimizers_only(lab):
    sparsifier = rarefy.sparsify(model := lab.build(), 0.5)
    with pytest.raises(AttachError):
        sparsifier.attach(None)
    with pytest.raises(AttachError):
        sparsifier.attach([])
    assert not sparsifier.attached
    del model


# -- averages of the weights


def test_apply_to_an_average_of_the_weights(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.7, "rigl", optimizer=optimizer, steps=40, when="every 3 until 75%", seed=0
    )
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    lab.train(model, optimizer, lab.batches(20), lambda: ema.update_parameters(model))
    averaged = ema.module[0].weight.detach().clone()
    mask = sparsifier.masks["0.weight"]
    assert averaged[~mask].any()  # weights that lived earlier
    sparsifier.apply_(ema)
    assert torch.equal(ema.module[0].weight, averaged.masked_fill(~mask, 0))
    assert ema.module[0].weight.requires_grad
    sparsifier.apply_(ema.module)
    sparsifier.apply_(torch.compile(copy.deepcopy(model), backend="eager"))
    with pytest.raises(TargetError, match=r"0\.weight"):
        sparsifier.apply_(torch.nn.Linear(2, 2))


def test_an_average_of_a_static_mask_has_its_zeros(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(model, 0.7, "static", optimizer=optimizer, seed=0)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    lab.train(model, optimizer, lab.batches(10), lambda: ema.update_parameters(model))
    for name, mask in sparsifier.masks.items():
        assert not ema.module.get_parameter(name)[~mask].any()
