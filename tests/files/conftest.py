"""Models and files that the tests of this room share."""

import json
import struct
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import rarefy
from rarefy.files._header import CHECKSUM, TEXT, digest


def build_net():
    return nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))


@pytest.fixture
def net():
    """A small net with a sparse weight, one of whose kept places is 0.0, and BatchNorm's state."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = build_net()
    mask = torch.zeros(8, 16, dtype=torch.bool)
    mask[:, ::4] = True
    masks = {"0.weight": mask, "2.weight": torch.ones(4, 8, dtype=torch.bool)}
    sparsifier = rarefy.hold(made, masks=masks)
    with torch.no_grad():
        made[0].weight[3, 4] = 0.0
        made[0].weight[5, 8] = -0.0
    yield made
    sparsifier.detach()


@pytest.fixture
def saved(net, tmp_path):
    path = tmp_path / "net.safetensors"
    rarefy.save(net, path)
    return path


def build_wide():
    return nn.Sequential(nn.Linear(100, 40), nn.Linear(40, 40))


@pytest.fixture
def wide():
    """Two weights of which a twelfth is kept, one at a kept 0.0, so that gaps are stored."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = build_wide()
    masks = {
        f"{at}.weight": torch.arange(side * 40).reshape(40, side) % 13 == 5
        for at, side in enumerate((100, 40))
    }
    sparsifier = rarefy.hold(made, masks=masks)
    with torch.no_grad():
        made[0].weight[0, 18] = 0.0
    yield made
    sparsifier.detach()


@pytest.fixture
def saved_wide(wide, tmp_path):
    path = tmp_path / "wide.safetensors"
    rarefy.save(wide, path)
    return path


def bits_of(tensor):
    """Every byte of a tensor, to compare what torch.equal does not tell apart: -0.0, NaN."""
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def same(one, other):
    return one.shape == other.shape and one.dtype == other.dtype and bits_of(one) == bits_of(other)


def split(data):
    """The header as an object, and the tensors' bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header, tensors):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def forge(data, change):
    """The file with our own JSON text changed, and its checksum made right again."""
    header, tensors = split(data)
    content = json.loads(header["__metadata__"][TEXT])
    change(content)
    text = json.dumps(content)
    header["__metadata__"] |= {TEXT: text, CHECKSUM: digest(text.encode())}
    return join(header, tensors)


def plain_file(path, tensors):
    """Written by the safetensors package itself."""
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path


def parts_left(folder):
    return [path.name for path in folder.iterdir() if ".rarefy-" in path.name]


@pytest.fixture
def tools():
    """The functions above, for tests, which cannot import from here."""
    functions = (build_net, build_wide, bits_of, same, split, join, forge, plain_file, parts_left)
    return SimpleNamespace(**{function.__name__: function for function in functions})
