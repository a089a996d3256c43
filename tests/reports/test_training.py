"""What training cost, in words and as data."""

import json

import pytest
import torch

import rarefy
from rarefy.metrics import TrainingMeter
from rarefy.reports import report, training_lines, training_of
from rarefy.reports._training import training_from


@pytest.fixture
def net(model):
    """Make it: the room's model, trained for eight metered steps by RigL."""

    def made(storage):
        optimizer = torch.optim.AdamW(model.parameters(), 0.01)
        sparsifier = rarefy.sparsify(
            model, 0.5, "rigl", optimizer=optimizer, steps=20, storage=storage, seed=0
        )
        with TrainingMeter(sparsifier) as meter:
            for _ in range(8):
                optimizer.zero_grad()
                model(torch.ones(3, 8)).square().mean().backward()
                optimizer.step()
        return sparsifier, meter

    return made


@pytest.mark.parametrize("storage", ["masked", "compressed"])
def test_a_storage_is_called_what_it_is(net, storage):
    sparsifier, meter = net(storage)
    found = report(sparsifier, torch.ones(3, 8), meter=meter)
    assert found.state == storage
    assert found.counts.kept == 30
    text = str(found)
    assert ("simulated: dense speed and memory" in text) == (storage == "masked")
    assert ("none of it saved: simulated" in text) == (storage == "masked")
    assert all(word in text for word in ("training FLOPs", "8 steps", "topology update", "forward"))
    assert found.flops.effective == 2 * 3 * 30
    assert found.training.flops[-1][0] == 8


@pytest.mark.parametrize("storage", ["masked", "compressed"])
def test_plain_data_come_back(net, storage):
    sparsifier, meter = net(storage)
    found = training_of(sparsifier, None, meter)
    plain = json.loads(json.dumps(found.plain()))
    assert plain["simulated"] == (storage == "masked")
    assert training_from(plain) == found
    with pytest.raises(KeyError):
        training_from({"storage": "masked", "metered": None})


def test_without_a_meter_bytes_are_told_and_without_a_sparsifier_nothing(net):
    sparsifier, _ = net("compressed")
    found = report(sparsifier).training
    assert found.metered is None
    assert found.flops == ()
    assert found.bytes.weights == 4 * 38
    assert [word for word, _ in training_lines(found)] == ["training"]
    assert training_of(None, None, None) is None
    sparsifier.detach()
    assert report(sparsifier).training is None


def test_a_dense_control_is_called_dense(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    whole = {name: torch.ones_like(model.get_parameter(name)).bool() for name in ("0.weight",)}
    sparsifier = rarefy.hold(model, optimizer=optimizer, masks=whole)
    assert report(sparsifier).training.label.startswith("dense: ")
