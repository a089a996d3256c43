"""Back to ordinary files."""

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import FileError
from rarefy.files import read, to_dense


def test_any_program_reads_it(saved, net, tmp_path, tools):
    from safetensors.torch import load_file

    to_dense(saved, tmp_path / "dense.safetensors")
    found = load_file(tmp_path / "dense.safetensors")
    assert set(found) == set(net.state_dict())
    for key, value in net.state_dict().items():
        assert tools.same(found[key], value)
    assert read(tmp_path / "dense.safetensors").version is None


def test_a_tied_weight_stands_under_each_name(tmp_path):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    rarefy.save(model, tmp_path / "a")
    to_dense(tmp_path / "a", tmp_path / "b")
    tensors = read(tmp_path / "b").tensors
    assert torch.equal(tensors["0.weight"], tensors["1.weight"])
    model.load_state_dict(dict(tensors))


def test_a_folder(saved, tmp_path):
    (tmp_path / "in").mkdir()
    saved.rename(tmp_path / "in" / "model.safetensors")
    (tmp_path / "in" / "config.json").write_text("{}")
    to_dense(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "config.json").read_text() == "{}"
    assert read(tmp_path / "out" / "model.safetensors").version is None


def test_a_damaged_file_writes_nothing(saved, tmp_path):
    data = bytearray(saved.read_bytes())
    data[-30] ^= 1  # in a value
    saved.write_bytes(data)
    with pytest.raises(FileError, match="checksum"):
        to_dense(saved, tmp_path / "dense")
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]
