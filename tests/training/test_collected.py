"""Gradients of several batches as evidence."""

import pytest
import torch
from torch.optim import SGD

import rarefy
from rarefy.errors import EvidenceError
from rarefy.training import mean_gradients


def test_the_mean_over_batches(lab):
    model, data = lab.build(), lab.batches(3)
    weights = {"0.weight": model[0].weight, "4.weight": model[4].weight}
    found = mean_gradients(model, weights, data)
    for name, weight in weights.items():
        assert weight.grad is None
        total = torch.zeros_like(weight)
        for batch in data:
            model.zero_grad()
            lab.backward(model, batch)
            total += weight.grad
        assert torch.allclose(found[name], total / 3, rtol=1e-6, atol=1e-8)
        model.zero_grad()


def test_no_batch(lab):
    model = lab.build()
    with pytest.raises(EvidenceError, match="no batch"):
        mean_gradients(model, {"0.weight": model[0].weight}, [])


@pytest.mark.parametrize("method", ["snfs", "rigl"])
def test_measuring_is_no_step(lab, method):
    """prune(data=) between two steps leaves averages and gradients as they were."""
    runs = []
    for prunes in (False, True):
        model = lab.build()
        optimizer = SGD(model.parameters(), lr=0.1)
        sparsifier = rarefy.sparsify(
            model,
            0.5,
            method,
            score="taylor",
            growth="momentum" if method == "snfs" else "random",
            optimizer=optimizer,
            steps=40,
            when="every 20 until 75%",
            seed=0,
        )
        data = lab.batches(4)
        lab.train(model, optimizer, data[:3])
        if prunes:
            sparsifier.prune(sparsifier.sparsity, data=data)
            with pytest.raises(EvidenceError):
                sparsifier.prune(0.9, data=[])
        lab.train(model, optimizer, data[3:])
        runs.append((model, sparsifier.state_dict()["averages"]))
    for one, other in zip(runs[0][0].parameters(), runs[1][0].parameters(), strict=True):
        assert torch.equal(one, other)
    assert runs[0][1].keys() == runs[1][1].keys()
    for name, average in runs[0][1].items():
        assert torch.equal(average, runs[1][1][name])
