"""An accelerated model into a file and back."""

import json
import struct

import pytest
import torch
from torch import nn

import rarefy
from rarefy.acceleration import Stopwatch, accelerated, choices
from rarefy.errors import FileError
from rarefy.files import read
from rarefy.files._header import digest

pytestmark = pytest.mark.slow  # capturing loads much of torch


def build():
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 8)).eval()


@pytest.fixture
def saved(tmp_path):
    """A model at 90 %, what it was made from, and the file of the former."""
    model = build()
    rarefy.sparsify(model, 0.9).finalize()
    fast = accelerated(model, torch.ones(4, 64), goal="memory", stopwatch=Stopwatch(0.0))
    rarefy.save(fast, tmp_path / "fast.safetensors")
    return fast, model, tmp_path / "fast.safetensors"


def test_the_masked_model_and_its_choices_are_stored(saved):
    fast, model, path = saved
    contents = read(path)
    assert contents.version == 2
    assert contents.choices == json.loads(json.dumps(choices(fast)))
    assert list(contents.records) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(contents.tensors[name], value)


def test_it_runs_again_as_it_did(saved):
    fast, model, path = saved
    fresh = build()
    again = rarefy.load(path, fresh)
    example = torch.randn(5, 64)
    with torch.no_grad():
        assert torch.equal(again(example), fast(example))
        assert torch.allclose(again(example), model(example), atol=1e-5)
        assert torch.equal(fresh(example), model(example))
    assert isinstance(again, nn.Sequential)
    assert str(again.explain()) == str(fast.explain())
    # And once more: a loaded one can be saved, and an accelerated one loaded into.
    rarefy.save(again, path)
    assert rarefy.load(path, fast) is fast
    with torch.no_grad():
        assert torch.equal(fast(example), again(example))


def test_the_file_loads_without_its_choices(saved):
    _, model, path = saved
    fresh = rarefy.files.load(path, build())
    assert all(
        torch.equal(*pair) for pair in zip(fresh.parameters(), model.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda chosen: chosen.clear(),
        lambda chosen: chosen.update(version=99),
        lambda chosen: chosen.update(units=[{"path": "nowhere"}], leaves=[]),
        lambda chosen: chosen.update(units=[], leaves=[{"path": "0", "precision": "odd"}]),
    ],
)
def test_hostile_choices_are_refused(saved, change):
    path = saved[2]
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    content = json.loads(header["__metadata__"]["rarefy"])
    change(content["choices"])
    text = json.dumps(content)
    header["__metadata__"] |= {"rarefy": text, "rarefy.checksum": digest(text.encode())}
    made = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(made)) + made + data[8 + length :])
    with pytest.raises(FileError):
        rarefy.load(path, build())
