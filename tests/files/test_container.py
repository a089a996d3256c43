"""The library under us: what it lets pass and we do not, and what it refuses, as one error."""

import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors import safe_open

from rarefy.errors import FileError
from rarefy.files._container import reading, write_container
from rarefy.files._dtypes import DTYPES, itemsize, words_of


def packed(header, tensors=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + tensors


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


LAYOUT = {"a": ("U8", (0,)), "b": ("F32", (2, 3)), "c": ("I64", ())}
PARTS = {"a": np.zeros(0, "u1"), "b": np.arange(6, dtype="<u4"), "c": np.array([7], "<u8")}
TEXTS = {"format": "pt", 'odd "\\\x01\x7f\n\u2028é': "x" * 9, "a": "b", "c": "d"}


def test_what_is_written_is_read(tmp_path):
    write_container(tmp_path / "a", LAYOUT, PARTS, TEXTS)
    with reading(tmp_path / "a") as container:
        assert container.metadata == TEXTS
        assert container.layout() == LAYOUT
        assert list(container.layout()) == ["c", "b", "a"], "wide elements first"
        assert container.tensor("c") == 7
        assert container.tensor("b").view(torch.int32).tolist() == [[0, 1, 2], [3, 4, 5]]
        assert container.tensor("a").shape == (0,)
        assert container.size == (tmp_path / "a").stat().st_size


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits(dtype, tmp_path):
    words = np.array([0, 1, 1, 0, 1, 1] if dtype == "BOOL" else [0, 1, 2, 63, 64, 255])
    words = words.astype(f"<u{itemsize(dtype)}")
    write_container(tmp_path / "a", {"a": (dtype, (2, 3))}, {"a": words}, {})
    with reading(tmp_path / "a") as container:
        assert container.layout() == {"a": (dtype, (2, 3))}
        found = container.tensor("a")
    assert found.dtype == DTYPES[dtype]
    assert np.array_equal(words_of(found), words)


def test_the_same_is_written_in_the_same_bytes(tmp_path):
    written = set()
    for _ in range(20):  # the library alone would write the texts in one of 24 orders
        write_container(tmp_path / "a", LAYOUT, PARTS, TEXTS)
        written.add((tmp_path / "a").read_bytes())
    assert len(written) == 1
    assert len(written.pop()) % 8 == 0


DATA = bytes(8)
LIBRARY = "truncated, damaged, or no safetensors file"
UNSOUND = {
    "empty": (b"", LIBRARY),
    "short": (b"1234567", LIBRARY),
    "length beyond the file": (packed({}, length=3), LIBRARY),
    "huge length": (struct.pack("<Q", 2**64 - 1) + b"{}", "header too large"),
    "no JSON": (packed(b"{"), LIBRARY),
    "no UTF-8": (packed(b'{"\xff":1}'), LIBRARY),
    "a list": (packed([1]), LIBRARY),
    "deep": (packed(b'{"a":' + b"[" * 100_000), LIBRARY),
    "leading space": (packed(b" {}"), "its header is no JSON object"),
    "twice": (
        packed(b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2), DATA),
        "its header has a twice",
    ),
    "twice inside": (packed(b'{"__metadata__":{"b":"","b":""}}'), "its header has b twice"),
    "two metadata": (packed(b'{"__metadata__":{},"__metadata__":{}}'), LIBRARY),
    "metadata number": (packed({"__metadata__": {"a": 1}}), LIBRARY),
    "no entry": (packed({"a": 3}), LIBRARY),
    "field missing": (packed({"a": {"dtype": "F32", "shape": []}}), LIBRARY),
    "dtype": (packed({"a": entry("F33")}, DATA), LIBRARY),
    "dtype of half a byte": (packed({"a": entry("F4", (16,))}, DATA), "has dtype F4; known"),
    "dtype of six bits": (packed({"a": entry("F6_E2M3", (4,), (0, 3))}, bytes(3)), "has dtype F6"),
    "dtype of exponents": (packed({"a": entry("F8_E8M0", (8,))}, DATA), "has dtype F8_E8M0"),
    "shape negative": (packed({"a": entry(shape=(-2, -1))}, DATA), LIBRARY),
    "shape float": (packed({"a": entry(shape=(2.0,))}, DATA), LIBRARY),
    "shape true": (packed({"a": entry(shape=(2, True))}, DATA), LIBRARY),
    "shape overflow": (packed({"a": entry(shape=(2**33, 2**33))}, DATA), LIBRARY),
    "shape empty overflow": (
        packed({"a": entry(shape=(0, 2**40, 2**40), offsets=(0, 0))}),
        "has shape",
    ),
    "shape empty huge": (packed({"a": entry(shape=(2**63, 0), offsets=(0, 0))}), "has shape"),
    "sides": (packed({"a": entry(shape=(1,) * 65, offsets=(0, 4))}, bytes(4)), "has shape"),
    "offsets three": (packed({"a": entry(offsets=(0, 8, 8))}, DATA), LIBRARY),
    "offsets swapped": (packed({"a": entry(offsets=(8, 0))}, DATA), LIBRARY),
    "too few bytes": (packed({"a": entry(shape=(3,))}, DATA), LIBRARY),
    "beyond the end": (packed({"a": entry()}, DATA[:4]), LIBRARY),
    "bytes after the end": (packed({"a": entry()}, DATA + b"x"), LIBRARY),
    "overlap": (packed({"a": entry(), "b": entry(offsets=(4, 12))}, DATA * 2), LIBRARY),
    "same place": (packed({"a": entry(), "b": entry()}, DATA), LIBRARY),
    "gap": (packed({"a": entry(offsets=(4, 12))}, DATA * 2), LIBRARY),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_an_unsound_file_is_refused(case, tmp_path):
    data, words = UNSOUND[case]
    (tmp_path / "a").write_bytes(data)
    with (
        pytest.raises(FileError, match=words) as caught,
        reading(tmp_path / "a") as container,
    ):
        container.layout()
    assert str(caught.value).startswith(str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[%b[]]}}', "1000000 parts"),
        (b'{"__metadata__":{"a":"%b"},"a":{}}', "missing field"),
    ],
    ids=["lists that the library skips", "text"],
)
def test_a_bomb_takes_little_memory(header, words, tmp_path):
    header %= b"[]," * 3_000_000
    (tmp_path / "a").write_bytes(packed(header))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=words), reading(tmp_path / "a"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 2 * len(header) + 2**20
    finally:
        tracemalloc.stop()


def test_a_longer_header_than_is_read_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(packed(b"{}" + b" " * 2**25))
    with pytest.raises(FileError, match="at most 33554432 are read"), reading(tmp_path / "a"):
        pass


def test_a_longer_header_than_is_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("rarefy.files._container.MOST_BYTES", 128)
    with pytest.raises(FileError, match="Save the model in parts"):
        write_container(tmp_path / "a", LAYOUT, PARTS, TEXTS)


def test_a_large_claim_takes_no_memory(tmp_path):
    side = 2**40
    (tmp_path / "a").write_bytes(packed({"a": entry("U8", (side,), (0, side))}, b"x"))
    with pytest.raises(FileError, match=LIBRARY), reading(tmp_path / "a"):
        pass


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path):
    write_container(tmp_path / "a", LAYOUT, PARTS, TEXTS)
    with reading(tmp_path / "a") as container:
        os.truncate(tmp_path / "a", container.size - 8)
        with pytest.raises(FileError, match=r"b could not be read.*became shorter"):
            container.tensor("b")


def test_a_file_that_is_replaced_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    write_container(tmp_path / "a", LAYOUT, PARTS, TEXTS)
    write_container(tmp_path / "b", LAYOUT, PARTS, {})

    def late(path, **words):
        (tmp_path / "b").replace(tmp_path / "a")
        return safe_open(path, **words)

    monkeypatch.setattr("rarefy.files._container.safe_open", late)
    with pytest.raises(FileError, match="replaced while it was opened"), reading(tmp_path / "a"):
        pass


def test_what_the_system_refuses_is_its_error(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        write_container(tmp_path / "none" / "a", LAYOUT, PARTS, TEXTS)
    with pytest.raises(OSError, match="surrogates not allowed"):
        write_container(tmp_path / "a", {"\ud800": LAYOUT["c"]}, {"\ud800": PARTS["c"]}, {})
