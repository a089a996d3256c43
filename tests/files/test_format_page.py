"""The reader in docs/format.md reads what is saved."""

import hashlib
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import rarefy
from rarefy.files import read

PAGE = Path(__file__).parents[2] / "docs" / "format.md"


@pytest.fixture(scope="module")
def reader():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    space = {}
    exec(compile(code, str(PAGE), "exec"), space)
    return code, space["read"]


def test_it_is_short_and_plain(reader):
    code, _ = reader
    body = code[code.index("def read") :].strip().splitlines()[1:]
    assert len(body) <= 20
    assert set(re.findall(r"^import (\w+)", code, re.MULTILINE)) == {"json", "numpy"}


def test_it_reads_every_bit(reader, saved, saved_wide, tools):
    same_as_ours(saved, reader[1], tools)
    assert {record.format for record in read(saved_wide).records.values()} == {"delta", "dense"}
    same_as_ours(saved_wide, reader[1], tools)


@pytest.mark.parametrize("every", [4, 9, 30, 70, 300, 5000])
def test_it_reads_gaps_of_every_width(reader, every, tmp_path, tools):
    model = nn.Linear(128, 64, bias=False).half()
    with torch.no_grad():
        model.weight.view(-1)[torch.arange(8192) % every > 0] = 0
    rarefy.save(model, tmp_path / "a")
    record = read(tmp_path / "a").records["weight"]
    widths = {4: 3, 9: 4, 30: 5, 70: 7, 300: 8, 5000: 8}
    assert (record.format, record.width) == ("delta", widths[every])
    same_as_ours(tmp_path / "a", reader[1], tools)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e5m2], ids=str
)
def test_it_reads_every_dtype(reader, dtype, tmp_path, tools):
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)).to(dtype)
    model[2].weight = model[1].weight
    with torch.no_grad():
        model[0].weight.view(torch.uint8)[:9] = 0
        model[1].weight.view(torch.uint8)[3, : dtype.itemsize] = 0
        model[1].weight[4, 4] = -0.0
    model.register_buffer("flags", torch.tensor([True, False]))
    model.register_buffer("count", torch.tensor(3))
    model.register_buffer("nothing", torch.zeros(0, 3))
    rarefy.save(model, tmp_path / "a")
    same_as_ours(tmp_path / "a", reader[1], tools)
    tensors, masks = reader[1](tmp_path / "a")
    assert np.array_equal(tensors["1.weight"], tensors["2.weight"])
    assert set(masks) == {"0.weight", "1.weight", "2.weight"}
    assert masks["1.weight"].sum() == 254


def test_a_removed_negative_zero_is_removed_for_it_too(reader, tmp_path, tools):
    model = nn.Linear(16, 16)
    mask = torch.ones(16, 16, dtype=torch.bool)
    mask[4, 4] = False
    sparsifier = rarefy.hold(model, masks={"weight": mask})
    with torch.no_grad():
        model.weight[4, 4] = -0.0
    rarefy.save(model, tmp_path / "a")
    sparsifier.detach()
    record = read(tmp_path / "a").records["weight"]
    assert (record.format, record.mask) == ("dense", "nonzero")
    same_as_ours(tmp_path / "a", reader[1], tools)


def same_as_ours(path, reader, tools):
    tensors, masks = reader(path)
    contents = read(path)
    aliases = [name for record in contents.records.values() for name in record.aliases]
    assert set(tensors) == {*contents.records, *aliases}
    for key, tensor in contents.tensors.items():
        assert tensors[key].shape == tuple(tensor.shape)
        assert np.ascontiguousarray(tensors[key]).tobytes() == tools.bits_of(tensor)
    assert set(masks) - set(aliases) == set(contents.masks)
    for key, mask in contents.masks.items():
        assert np.array_equal(masks[key], mask.numpy())


def test_a_file_that_release_0_1_wrote_is_read(reader, tools):
    """Version 1, as it was written before there were gaps."""
    path = Path(__file__).parent / "data" / "version_1.safetensors"
    contents = read(path)
    assert (contents.version, contents.method, contents.choices) == (1, "hold", None)
    kinds = {key: (one.format, one.mask) for key, one in contents.records.items()}
    assert kinds["0.weight"] == ("bitmask", "bits")
    assert kinds["2.weight"] == ("dense", "nonzero")
    assert kinds["table"] == ("bitmask", "none")
    assert contents.records["2.weight"].aliases == ("3.weight",)
    first = torch.arange(1.0, 801).reshape(20, 40) / 64
    mask = torch.arange(800).reshape(20, 40) % 20 == 3
    assert torch.equal(contents.masks["0.weight"], mask)
    first[0, 23] = 0.0  # kept
    assert torch.equal(contents.tensors["0.weight"], first * mask)
    assert torch.equal(contents.tensors["2.weight"], torch.arange(1.0, 401).reshape(20, 20) / 64)
    assert torch.equal(contents.tensors["table"], torch.eye(24, dtype=torch.bfloat16))
    same_as_ours(path, reader[1], tools)


def test_gaps_made_by_hand_after_the_page_are_read(tmp_path, reader, tools):
    """Fixes version 2: later releases must read this as well."""
    # Kept are places 1, 9 and 10 of 12: 2; twice 3 without a value, and 2; 1; and 1 to the end.
    fields = [2, 0, 0, 2, 1, 0, 0, 0]
    gaps = sum(field << 2 * at for at, field in enumerate(fields)).to_bytes(2, "little")
    values, bits = struct.pack("<3f", 1.5, 0.0, -2.0), bytes([0b00000010, 0b00000110])
    dense = struct.pack("<12f", 0, 1.5, 0, 0, 0, 0, 0, 0, 0, 0.0, -2.0, 0)

    def checksum(*parts):
        return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()

    weight = {
        "format": "delta",
        "mask": "bits",
        "dtype": "F32",
        "shape": [3, 4],
        "kept": 3,
        "nonzero": 2,
        "checksum": checksum(b"F32,3,4", dense, bits),
        "aliases": [],
        "width": 2,
        "gaps": 2,
    }
    content = {"version": 2, "method": None, "size": 12, "kept": 3, "nonzero": 2}
    text = json.dumps(content | {"choices": {"goal": "latency"}, "tensors": {"w": weight}})
    header = json.dumps(
        {
            "__metadata__": {"rarefy": text, "rarefy.checksum": checksum(text.encode())},
            "w.rarefy.values": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
            "w.rarefy.mask": {"dtype": "U8", "shape": [2], "data_offsets": [12, 14]},
        }
    ).encode()
    path = tmp_path / "by_hand.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + values + gaps)
    contents = read(path)
    assert (contents.version, contents.choices) == (2, {"goal": "latency"})
    assert contents.tensors["w"].flatten().nonzero().flatten().tolist() == [1, 10]
    assert contents.masks["w"].flatten().nonzero().flatten().tolist() == [1, 9, 10]
    same_as_ours(path, reader[1], tools)


def test_a_file_made_by_hand_after_the_page_is_read(tmp_path, reader, tools):
    """Fixes version 1: later releases must read this as well."""
    values, bits = struct.pack("<3f", 1.5, 0.0, -2.0), bytes([0b10000001, 0b00000010])
    dense = struct.pack("<10f", 1.5, 0, 0, 0, 0, 0, 0, 0.0, 0, -2.0)
    steps = struct.pack("<q", 7)

    def checksum(*parts):
        return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()

    weight = {
        "format": "bitmask",
        "mask": "bits",
        "dtype": "F32",
        "shape": [2, 5],
        "kept": 3,
        "nonzero": 2,
        "checksum": checksum(b"F32,2,5", dense, bits),
        "aliases": ["b.weight"],
    }
    count = {
        "format": "dense",
        "mask": "none",
        "dtype": "I64",
        "shape": [],
        "kept": 1,
        "nonzero": 1,
        "checksum": checksum(b"I64", steps),
        "aliases": [],
    }
    content = {"version": 1, "method": "rigl", "size": 10, "kept": 3, "nonzero": 2}
    text = json.dumps(content | {"tensors": {"a.weight": weight, "count": count}})
    header = json.dumps(
        {
            "__metadata__": {"rarefy": text, "rarefy.checksum": checksum(text.encode())},
            "count": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
            "a.weight.rarefy.values": {"dtype": "F32", "shape": [3], "data_offsets": [8, 20]},
            "a.weight.rarefy.mask": {"dtype": "U8", "shape": [2], "data_offsets": [20, 22]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "by_hand.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + steps + values + bits)
    contents = read(path)
    assert contents.method == "rigl"
    assert contents.tensors["count"] == 7
    assert contents.tensors["a.weight"].tolist() == [[1.5, 0, 0, 0, 0], [0, 0, 0, 0, -2.0]]
    assert contents.masks["a.weight"].nonzero().tolist() == [[0, 0], [1, 2], [1, 4]]
    same_as_ours(path, reader[1], tools)
