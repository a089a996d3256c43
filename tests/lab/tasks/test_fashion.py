"""Fashion-MNIST as a task: real where it is installed, small in its place elsewhere."""

import pytest
import torch

from rarefy.errors import FileError
from rarefy.lab import fashion_folder
from rarefy.lab.tasks import _fashion, fashion


@pytest.fixture
def _small(monkeypatch, tmp_path):
    pixels = {name: torch.full((4, 28, 28), 255, dtype=torch.uint8) for name in ("train", "t10k")}

    def read(_, name):
        stem = name.split("-")[0]
        return pixels[stem] if "images" in name else torch.arange(4, dtype=torch.uint8)

    monkeypatch.setattr(_fashion, "folder_of", lambda *_, **__: tmp_path)
    monkeypatch.setattr(_fashion, "read_idx", read)
    _fashion._data.cache_clear()
    yield
    _fashion._data.cache_clear()


@pytest.mark.usefixtures("_small")
def test_pixels_are_scaled_by_the_published_mean_and_deviation():
    data = fashion().data
    assert data.inputs.shape == (4, 784)
    assert float(data.inputs[0, 0]) == pytest.approx((1 - 0.2860) / 0.3530, rel=1e-6)
    assert data.targets.tolist() == [0, 1, 2, 3]
    assert data.targets.dtype == torch.int64


@pytest.mark.usefixtures("_small")
def test_the_network_is_lenet_300_100():
    model = fashion().build()
    assert sum(p.numel() for p in model.parameters() if p.dim() == 2) == 266_200


def test_a_missing_folder_is_one_clear_error(tmp_path):
    with pytest.raises(FileError, match="Fashion-MNIST is not here"):
        fashion(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(fashion_folder() is None, reason="Fashion-MNIST is not installed")
def test_one_epoch_on_the_real_data_learns():
    task = fashion()
    assert len(task.data.targets) == 60_000
    assert task.data.targets.bincount().tolist() == [6_000] * 10
    assert task.data.test_targets.bincount().tolist() == [1_000] * 10
    assert float(task.data.inputs.mean()) == pytest.approx(0, abs=1e-3)
    model = task.build()
    task.train(model, lambda *_, **__: None, epochs=1)
    assert task.evaluate(model)["accuracy"] > 0.82
