"""The bytes of a sparse weight: by hand, there and back, and damaged."""

import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy import _native
from rarefy.errors import FileError, PatternError
from rarefy.kernels import _tiles
from rarefy.kernels._tiles import pack_tiles, tiles_shape, unpack_tiles

needs_native = pytest.mark.skipif(
    _native.function("rarefy_pack", _tiles._PACK) is None, reason="the library cannot pack"
)


def sparse(rows, columns, density=0.3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=draw)
    return weight * (torch.rand(rows, columns, generator=draw) < density)


def reference(weight, mask=None, tile=256):
    kept = int((weight if mask is None else mask).count_nonzero())
    return _tiles._pack_reference(weight, mask, tile, kept)


def test_a_small_matrix_by_hand():
    weight = torch.tensor([[0.0, 2.0, 0.0, 3.0], [1.0, 0.0, 0.0, 4.0]])
    by_hand = struct.pack("<6q", 2, 4, 256, 1, 1, 4)
    by_hand += struct.pack("<2q", 0, 4) + struct.pack("<2i", 0, 2)
    by_hand = by_hand.ljust(128, b"\0") + struct.pack("<4f", 1, 2, 3, 4)
    # column * 32 + row, by column, then row
    by_hand = by_hand.ljust(192, b"\0") + struct.pack("<4H", 0 * 32 + 1, 1 * 32, 3 * 32, 3 * 32 + 1)
    assert bytes(pack_tiles(weight).numpy()) == by_hand.ljust(256, b"\0")


def test_tiles_and_blocks_by_hand():
    weight = torch.zeros(31, 5)
    for entry, place in enumerate([(0, 4), (14, 0), (15, 0), (30, 3), (30, 4)]):
        weight[place] = entry + 1
    data = bytes(reference(weight, tile=3).numpy())
    assert struct.unpack_from("<6q", data) == (31, 5, 3, 2, 2, 5)
    assert struct.unpack_from("<5q", data, 48) == (0, 1, 2, 3, 5)
    assert struct.unpack_from("<3i", data, 88) == (0, 15, 31)
    assert struct.unpack_from("<5f", data, 128) == (2, 1, 3, 4, 5)
    assert struct.unpack_from("<5H", data, 192) == (14, 32, 0, 15, 32 + 15)


def test_a_mask_decides_what_is_stored():
    weight = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    mask = torch.tensor([[True, True], [False, False]])
    section = pack_tiles(weight, mask)
    assert tiles_shape(section) == (2, 2, 2)
    assert unpack_tiles(section).tolist() == [[0.0, 2.0], [0.0, 0.0]]


def test_special_values_come_back_to_the_bit():
    weight = torch.tensor([[float("nan"), float("inf")], [-float("inf"), 1e-40]])
    found = unpack_tiles(pack_tiles(weight))
    assert torch.equal(found.view(torch.int32), weight.view(torch.int32))


def test_the_sides_after_the_first_are_columns_as_torch_stores_them():
    weight = torch.randn(4, 3, 2, 5)
    for strides in (torch.contiguous_format, torch.channels_last):
        found = unpack_tiles(pack_tiles(weight.contiguous(memory_format=strides)))
        assert torch.equal(found, weight.reshape(4, 30))


@pytest.mark.parametrize(("density", "tile"), [(1.0, 256), (0.08, 256), (0.05, 512), (0.0, 512)])
def test_sparser_weights_have_wider_tiles(density, tile):
    weight = torch.zeros(10, 1000)
    weight.view(-1)[: int(density * 10_000)] = 1
    assert struct.unpack_from("<6q", bytes(pack_tiles(weight).numpy()))[2] == tile


@pytest.mark.parametrize("rows", [0, 1, 29, 30, 31, 60, 61, 97])
@pytest.mark.parametrize("columns", [0, 1, 255, 256, 257, 600])
def test_any_shape_comes_back(rows, columns):
    for density in (0.0, 0.1, 1.0):
        weight = sparse(rows, columns, density)
        for tile in (1, 7, 256, 512, 2048):
            section = reference(weight, tile=tile)
            assert torch.equal(unpack_tiles(section), weight)
            assert tiles_shape(section) == (rows, columns, weight.count_nonzero())
            assert section.numel() % 64 == 0


@given(
    st.integers(0, 70), st.integers(0, 70), st.integers(1, 80), st.floats(0, 1), st.integers(0, 99)
)
@settings(deadline=None)
def test_there_and_back(rows, columns, tile, density, seed):
    weight = sparse(rows, columns, density, seed)
    mask = sparse(rows, columns, density, seed + 1) != 0
    assert torch.equal(unpack_tiles(reference(weight, tile=tile)), weight)
    assert torch.equal(unpack_tiles(reference(weight, mask, tile)), weight * mask)


@pytest.mark.parametrize(
    ("weight", "mask", "why"),
    [
        (torch.ones(3), None, r"two sides or more; found torch.float32 of shape \(3,\)"),
        (torch.ones(3, 3).double(), None, "float32 with two sides"),
        (torch.ones(3, 3), torch.ones(3, 3), "a mask is bool"),
        (torch.ones(3, 3), torch.ones(3, 2, dtype=torch.bool), r"like its weight, \(3, 3\)"),
    ],
)
def test_what_is_no_weight_is_refused(weight, mask, why):
    with pytest.raises(PatternError, match=why):
        pack_tiles(weight, mask)


HEADER = {"rows": 0, "columns": 1, "tile": 2, "blocks": 3, "tiles": 4, "nonzero": 5}
EXTREMES = (-(2**63), -1, 0, 1, 2**31 - 1, 2**31, 2**40, 2**63 - 1)


@pytest.mark.parametrize("field", HEADER)
@pytest.mark.parametrize("value", EXTREMES)
def test_a_wrong_header_is_told(field, value):
    section = pack_tiles(sparse(40, 300))
    header = section[:48].view(torch.int64)
    if header[HEADER[field]] == value:
        return
    header[HEADER[field]] = value
    with pytest.raises(FileError, match="a packed weight is damaged"):
        unpack_tiles(section)


@pytest.mark.parametrize("length", [0, 1, 47, 48, 63, 64, 128])
def test_a_cut_section_is_told(length):
    section = pack_tiles(sparse(40, 300))
    for cut in (section[:length], section[:-64], torch.cat([section, section[:64]])):
        with pytest.raises(FileError, match="a packed weight is damaged"):
            tiles_shape(cut)


@pytest.mark.parametrize("change", ["swap", "repeat", "row", "column"])
def test_an_entry_out_of_place_is_told(change):
    weight = torch.ones(5, 3)
    section = pack_tiles(weight)
    positions = section[-64:].numpy()[:30].view(np.uint16)
    assert positions[1] == 1
    if change == "swap":
        positions[[1, 2]] = positions[[2, 1]]
    elif change == "repeat":
        positions[1] = positions[0]
    elif change == "row":
        positions[4] = 5
    else:
        positions[-1] = 3 * 32
    with pytest.raises(FileError, match="outside its tile or out of order"):
        unpack_tiles(section)


@given(st.data())
@settings(deadline=None)
def test_any_damage_is_an_error_or_a_sound_weight(data):
    section = reference(sparse(33, 20), tile=8)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, section.numel() - 1))
        section[place] = data.draw(st.integers(0, 255))
    try:
        found = unpack_tiles(section)
    except FileError:
        return
    assert found.shape == (33, 20)  # damage to a value or to what pads


@needs_native
@pytest.mark.native
def test_the_library_chooses_the_same_tiles(monkeypatch):
    for count in [*range(640, 760), 0, 1, 15, 16, 17, 31, 32, 33, 9999, 10_000]:
        weight = torch.zeros(10, 1000)
        weight.view(-1)[:count] = 1
        for mask in (None, weight != 0):
            ours = pack_tiles(weight, mask)
            with monkeypatch.context() as patch:
                patch.setattr(_native, "function", lambda *_: None)
                assert torch.equal(pack_tiles(weight, mask), ours)


@needs_native
@pytest.mark.native
@pytest.mark.parametrize("rows", [0, 1, 29, 30, 31, 61, 97])
@pytest.mark.parametrize("columns", [0, 1, 63, 64, 65, 255, 257, 600, 2500])
def test_the_library_packs_the_same_bytes(rows, columns):
    pack = _native.function("rarefy_pack", _tiles._PACK)
    for density in (0.0, 0.02, 0.3, 1.0):
        weight = sparse(rows, columns, density)
        mask = sparse(rows, columns, density, 1) != 0
        for tile in (1, 3, 64, 256, 512, 2048):
            for chosen in (None, mask):
                kept = int((weight if chosen is None else chosen).count_nonzero())
                found = _tiles._pack_native(pack, weight, chosen, tile, kept)
                assert torch.equal(found, reference(weight, chosen, tile))
