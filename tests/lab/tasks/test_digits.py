"""The digits of scikit-learn as a task."""

import sys

import pytest
import torch

from rarefy.errors import MissingExtra
from rarefy.lab.tasks import _digits, digits


def test_the_split_is_fixed_and_scaled_by_what_is_trained_on():
    data = digits().data
    assert data.inputs.shape == (1437, 64)
    assert data.test_inputs.shape == (360, 64)
    assert data.inputs.dtype == torch.float32
    assert data.targets.dtype == torch.int64
    assert float(data.inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(data.inputs.std()) == pytest.approx(1, abs=1e-5)
    assert data.targets[:10].tolist() == list(range(10))
    assert data.test_targets[:5].tolist() == [2, 3, 4, 5, 6]


def test_the_network_is_64_300_100_10():
    shapes = [tuple(p.shape) for p in digits().build().parameters() if p.dim() == 2]
    assert shapes == [(300, 64), (100, 300), (10, 100)]


def test_a_few_epochs_learn_most_digits():
    task = digits()
    model = task.build()
    task.train(model, lambda *_, **__: None, epochs=3)
    assert task.evaluate(model)["accuracy"] > 0.8


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    _digits._data.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'rarefy\[demo\]'"):
        digits()
