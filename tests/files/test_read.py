"""Reading what a file says, and its tensors one at a time."""

import os
import tracemalloc

import pytest
import torch

import rarefy
from rarefy.errors import FileError
from rarefy.files import read, read_masks


def test_contents(saved, net, tools):
    contents = read(saved)
    assert (contents.version, contents.method) == (1, "hold")
    assert contents.path == saved
    assert contents.size == saved.stat().st_size
    assert list(contents.tensors) == list(contents.bytes) == list(net.state_dict())
    for key, value in net.state_dict().items():
        assert tools.same(contents.tensors[key], value)
    assert list(contents.masks) == ["0.weight", "2.weight"]
    assert len(contents.masks) == 2
    assert "0.bias" in contents.tensors
    assert "0.bias" not in contents.masks
    assert repr(contents.masks) == "Masks(0.weight, 2.weight)"
    for mapping in (contents.tensors, contents.masks):
        with pytest.raises(KeyError, match="none"):
            mapping["none"]
    with pytest.raises(KeyError, match=r"0\.bias"):
        contents.masks["0.bias"]


def test_an_ordinary_file(tools, tmp_path):
    weight = torch.eye(4, dtype=torch.bfloat16)
    contents = read(tools.plain_file(tmp_path / "plain", {"a": weight}))
    assert (contents.version, contents.method) == (None, None)
    record = contents.records["a"]
    assert (record.format, record.mask, record.nonzero) == ("dense", "none", None)
    assert contents.bytes == {"a": 32}
    assert torch.equal(contents.tensors["a"], weight)
    assert not contents.masks


def test_a_header_costs_no_tensor(tools, tmp_path):
    path = tools.plain_file(tmp_path / "plain", {"a": torch.zeros(4_000_000)})
    tracemalloc.start()
    try:
        assert read(path).bytes["a"] == 16_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_is_read_belongs_to_the_reader(saved):
    contents = read(saved)
    contents.tensors["0.bias"].zero_()
    contents.masks["0.weight"].zero_()
    assert contents.tensors["0.bias"].any()
    assert read_masks(saved)["0.weight"].any()


def test_a_file_that_was_replaced_is_noticed(saved, net):
    contents = read(saved)
    rarefy.save(net, saved)
    with pytest.raises(FileError, match="replaced since its header was read"):
        contents.tensors["0.weight"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.safetensors cannot be read: No such file"):
        read(tmp_path / "none.safetensors")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileError, match="it is no file"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="it is no file"):
        read(tmp_path / "pipe")


def test_a_pickle_is_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save(Trap(), tmp_path / "model.pt")
    with pytest.raises(FileError, match="no safetensors file"):
        read(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()
