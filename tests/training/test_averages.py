"""The running average of dense gradients that growth by momentum looks at."""

import copy

import pytest
import torch
from torch.optim import SGD, AdamW

import rarefy
from rarefy.training._averages import Averages


def test_it_is_an_exponential_average_by_hand():
    averages = Averages(0.75)
    for gradient in (4.0, 8.0):
        averages.collect("w", torch.tensor([gradient]), None)
        averages.fold(1.0)
    # 0.25 * 4 = 1, then 0.75 * 1 + 0.25 * 8
    assert averages.values["w"].tolist() == [2.75]


def test_micro_batches_add_up_and_a_new_step_starts_anew():
    averages = Averages(0.5)
    averages.collect("w", torch.tensor([1.0, 0.0]), None)
    averages.collect("w", torch.tensor([2.0, 4.0]), torch.tensor([1.0, 0.0]))
    averages.fold(1.0)
    assert averages.values["w"].tolist() == [1.5, 2.0]
    averages.collect("w", torch.tensor([100.0, 0.0]), None)  # of a step that never happens
    averages.collect("w", torch.tensor([2.0, 0.0]), torch.zeros(2))  # zero_grad(set_to_none=False)
    averages.fold(1.0)
    assert averages.values["w"].tolist() == [1.75, 1.0]


def test_scale_and_overflow():
    averages = Averages(0.5)
    averages.collect("w", torch.tensor([8.0]), None)
    averages.fold(4.0)
    assert averages.values["w"].tolist() == [1.0]
    averages.collect("w", torch.tensor([torch.inf]), None)
    averages.fold(4.0)
    assert averages.values["w"].tolist() == [1.0]


def test_half_precision_is_averaged_in_float32():
    averages = Averages(0.9)
    for _ in range(2):
        averages.collect("w", torch.tensor([1.0], dtype=torch.bfloat16), None)
        averages.fold(1.0)
    assert averages.values["w"].dtype == torch.float32
    assert averages.values["w"].item() == pytest.approx(0.19)


def test_it_follows_a_model_that_becomes_more_precise():
    averages = Averages(0.5)
    averages.collect("w", torch.tensor([2.0]), None)
    averages.fold(1.0)
    averages.collect("w", torch.tensor([4.0], dtype=torch.float64), None)
    averages.fold(1.0)
    assert averages.values["w"].dtype == torch.float64
    assert averages.values["w"].tolist() == [2.5]


@pytest.mark.parametrize("none", [True, False])
@pytest.mark.parametrize("micro", [1, 3])
def test_in_training_it_is_the_average_by_hand(lab, micro, none):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, 0.7, "snfs", optimizer=optimizer, steps=40, when="every 5 until 75%", seed=0
    )
    wanted = {name: torch.zeros_like(mask, dtype=torch.float64) for name, mask in items(sparsifier)}
    data = lab.batches(12 * micro)
    for step in range(12):
        group = data[step * micro : (step + 1) * micro]
        twin = copy.deepcopy(model)
        twin.zero_grad()
        optimizer.zero_grad(set_to_none=none)
        for batch in group:
            lab.backward(twin, batch)  # without hooks: dense
            lab.backward(model, batch)
        for name, average in wanted.items():
            average.mul_(0.9).add_(twin.get_parameter(name).grad, alpha=0.1)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)  # not of the average
        optimizer.step()
    averages = sparsifier.state_dict()["averages"]
    assert set(averages) == set(wanted) == set(sparsifier.masks)
    for name, average in wanted.items():
        assert averages[name][~sparsifier.masks[name]].any()
        assert torch.allclose(averages[name].double(), average, rtol=1e-5, atol=1e-9)


def items(sparsifier):
    return sparsifier.masks.items()


def test_a_step_that_is_not_taken_is_not_averaged(lab):
    """A loop may look at its gradients, and drop them."""
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.1)
    sparsifier = rarefy.sparsify(
        model, 0.7, "snfs", optimizer=optimizer, steps=40, when="every 20 until 75%", seed=0
    )
    other = lab.build()
    plain = SGD(other.parameters(), lr=0.1)
    same = rarefy.sparsify(
        other, 0.7, "snfs", optimizer=plain, steps=40, when="every 20 until 75%", seed=0
    )
    data = lab.batches(8)
    for number, batch in enumerate(data):
        optimizer.zero_grad(set_to_none=False)
        lab.backward(model, batch)
        if number % 2:
            optimizer.step()
    lab.train(other, plain, data[1::2])
    mine, wanted = sparsifier.state_dict()["averages"], same.state_dict()["averages"]
    assert all(torch.equal(mine[name], wanted[name]) for name in wanted)


def test_the_optimizer_sees_nothing_of_it(lab):
    model = lab.build()
    optimizer = AdamW(model.parameters())
    sparsifier = rarefy.sparsify(
        model, 0.7, "snfs", optimizer=optimizer, steps=40, when="every 20 until 75%", seed=0
    )
    lab.train(model, optimizer, lab.batches(5), lambda: lab.assert_zeros(sparsifier, optimizer))
    assert sparsifier.state_dict()["averages"]["0.weight"][~sparsifier.masks["0.weight"]].any()
