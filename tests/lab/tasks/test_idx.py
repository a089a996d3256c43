"""Finding, verifying and reading idx files, with small ones in their place."""

import gzip
import hashlib
import struct
import sys
import types

import numpy as np
import pytest

from rarefy.errors import FileError, MissingExtra
from rarefy.lab.tasks import _idx
from rarefy.lab.tasks._idx import FILES, PACKAGED, _Known, folder_of, places_of, read_idx

SHAPES = {
    "train-images-idx3-ubyte": (6, 2, 2),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (3, 2, 2),
    "t10k-labels-idx1-ubyte": (3,),
}


def idx(shape):
    values = np.arange(int(np.prod(shape)), dtype=np.uint8)
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    return header + values.tobytes()


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    known = {
        name: _Known(shape, hashlib.md5(idx(shape)).hexdigest()) for name, shape in SHAPES.items()
    }
    monkeypatch.setattr(_idx, "FILES", known)
    monkeypatch.setattr(_idx, "PACKAGED", tmp_path / "packaged")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RAREFY_DATA", raising=False)


def put_torchvision(monkeypatch, fashion_mnist):
    datasets = types.ModuleType("torchvision.datasets")
    datasets.FashionMNIST = fashion_mnist
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


def fill(folder, *, packed=True):
    folder.mkdir(parents=True)
    for name, shape in SHAPES.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(shape)))
        else:
            (folder / name).write_bytes(idx(shape))
    return folder


@pytest.mark.parametrize("packed", [True, False])
def test_it_reads_packed_and_plain_files(tmp_path, packed):
    folder = fill(tmp_path / "here", packed=packed)
    images = read_idx(folder, "train-images-idx3-ubyte")
    assert images.tolist() == np.arange(24).reshape(6, 2, 2).tolist()
    assert read_idx(folder, "t10k-labels-idx1-ubyte").tolist() == [0, 1, 2]


def test_a_given_path_is_the_only_place(tmp_path):
    fill(tmp_path / "packaged")
    with pytest.raises(FileError, match="elsewhere"):
        folder_of(tmp_path / "elsewhere", download=False)
    here = fill(tmp_path / "elsewhere")
    assert folder_of(here, download=False) == here


def test_a_given_path_may_be_laid_out_as_torchvision_does(tmp_path):
    folder = fill(tmp_path / "root" / "FashionMNIST" / "raw")
    assert folder_of(tmp_path / "root", download=False) == folder


def test_the_variable_comes_before_the_package(tmp_path, monkeypatch):
    packaged = fill(tmp_path / "packaged")
    assert folder_of(None, download=False) == packaged
    named = fill(tmp_path / "mine" / "FashionMNIST" / "raw")
    monkeypatch.setenv("RAREFY_DATA", str(tmp_path / "mine"))
    assert folder_of(None, download=False) == named


def test_what_was_fetched_before_is_found_again(tmp_path):
    folder = fill(tmp_path / "home" / ".cache" / "rarefy" / "FashionMNIST" / "raw")
    assert folder_of(None, download=False) == folder


def test_where_it_is_nowhere_every_way_is_named(tmp_path):
    with pytest.raises(FileError) as raised:
        folder_of(None, download=False)
    message = str(raised.value)
    for way in ("--data", "RAREFY_DATA", "dataset-fashion-mnist", "--download", "rarefy[data]"):
        assert way in message
    assert str(tmp_path / "packaged") in message


def test_an_incomplete_folder_is_passed_over(tmp_path):
    folder = fill(tmp_path / "packaged")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileError):
        folder_of(None, download=False)


@pytest.mark.parametrize("harm", ["flip", "shorten", "lengthen", "other", "gzip"])
def test_a_damaged_file_is_refused_by_name(tmp_path, harm):
    folder = fill(tmp_path / "here")
    path = folder / "train-labels-idx1-ubyte.gz"
    good = idx((6,))
    bad = {
        "flip": gzip.compress(good[:-1] + b"\x09"),
        "shorten": gzip.compress(good[:-1]),
        "lengthen": gzip.compress(good + b"\x00"),
        "other": gzip.compress(idx((3,))),
        "gzip": path.read_bytes()[:-6],
    }
    path.write_bytes(bad[harm])
    with pytest.raises(FileError, match="train-labels-idx1-ubyte"):
        read_idx(folder, "train-labels-idx1-ubyte")


def test_download_asks_torchvision_and_only_when_it_is_nowhere(tmp_path, monkeypatch):
    asked = []

    def fetch(root, *, train, download):
        asked.append((root, train, download))
        fill(_idx.Path(root) / "FashionMNIST" / "raw")

    put_torchvision(monkeypatch, fetch)
    root = tmp_path / "root"
    assert folder_of(root, download=True) == root / "FashionMNIST" / "raw"
    assert folder_of(root, download=True) == root / "FashionMNIST" / "raw"
    assert asked == [(str(root), True, True)]


def test_a_failed_download_says_what_else_there_is(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    put_torchvision(monkeypatch, fail)
    with pytest.raises(FileError, match=r"no network.*apt-get install"):
        folder_of(tmp_path / "root", download=True)


def test_download_without_torchvision_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(MissingExtra, match=r"rarefy\[data\]"):
        folder_of(tmp_path / "root", download=True)


def test_a_torchvision_for_another_torch_is_told_as_such(tmp_path, monkeypatch):
    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", Broken("torchvision.datasets"))
    with pytest.raises(MissingExtra, match="goes with this torch"):
        folder_of(tmp_path / "root", download=True)


def test_the_published_files_are_those_of_fashion_mnist():
    assert FILES["train-images-idx3-ubyte"].shape == (60_000, 28, 28)
    assert str(PACKAGED) == "/usr/share/datasets/fashion-mnist"
    assert places_of("x")[0].name == "x"
