"""The container: its bytes by hand, there and back, and damaged in every way."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy.errors import FileError, PatternError
from rarefy.kernels import Section, floats, join, pack, read, unpack


def some():
    weight = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    return [pack(weight), floats(torch.tensor([0.5, -1.0])), floats(torch.empty(0))]


def test_a_container_by_hand():
    section = Section("floats", torch.arange(5, dtype=torch.uint8))
    packed = join([section, section])
    by_hand = b"RFPK" + struct.pack("<IIIQ", 1, 2, 0, 256) + bytes(40)
    by_hand += b"floats".ljust(16, b"\0") + struct.pack("<QQ", 128, 5)
    by_hand += b"floats".ljust(16, b"\0") + struct.pack("<QQ", 192, 5)
    by_hand += 2 * bytes([0, 1, 2, 3, 4]).ljust(64, b"\0")
    assert bytes(packed.numpy()) == by_hand


def test_what_is_joined_is_read_back():
    packed = join(some())
    found = read(packed)
    assert [section.kind for section in found] == ["tiles", "floats", "floats"]
    for section, wanted in zip(found, some(), strict=True):
        assert torch.equal(section.data, wanted.data)
        assert torch.equal(unpack(section), unpack(wanted))
    assert torch.equal(join(found), packed)


def test_no_sections_are_a_container_too():
    assert read(join([])) == ()
    assert join([]).numel() == 64


def test_floats_are_taken_in_row_major_order_and_copied():
    values = torch.arange(6.0).reshape(2, 3).t()
    section = floats(values)
    values.zero_()
    assert unpack(section).tolist() == [0, 3, 1, 4, 2, 5]


def test_the_container_counts_its_changes_even_if_made_in_inference_mode():
    with torch.inference_mode():
        packed = join([floats(torch.ones(3))])
    assert not packed.is_inference()


def test_a_container_at_an_odd_address_is_read():
    packed = join(some())
    moved = torch.empty(packed.numel() + 1, dtype=torch.uint8)[1:]
    moved.copy_(packed)
    assert unpack(read(moved)[0]).tolist() == [[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("", torch.zeros(1, dtype=torch.uint8), "no kind of section"),
        ("sixteen_letters_", torch.zeros(1, dtype=torch.uint8), "no kind of section"),
        ("Tiles", torch.zeros(1, dtype=torch.uint8), "no kind of section"),
        ("tiles", torch.zeros(1), "a section is uint8"),
        ("tiles", torch.zeros(1, 1, dtype=torch.uint8), "a section is uint8"),
    ],
)
def test_what_is_no_section_is_refused(kind, data, why):
    with pytest.raises(PatternError, match=why):
        Section(kind, data)


def test_floats_are_not_rounded_silently():
    with pytest.raises(PatternError, match=r"floats are float32; found torch.float64"):
        floats(torch.ones(2).double())


def test_an_unknown_kind_and_cut_floats_are_told():
    with pytest.raises(FileError, match="kind 'new', which this release does not know"):
        unpack(Section("new", torch.zeros(4, dtype=torch.uint8)))
    cut = Section("floats", torch.zeros(5, dtype=torch.uint8))
    for use in (unpack, lambda section: read(join([section]))):
        with pytest.raises(FileError, match="has 5 bytes"):
            use(cut)


def test_damage_inside_a_section_is_told_when_it_is_read():
    packed = join(some())
    packed[192] = 99  # rows
    with pytest.raises(FileError, match="a packed weight is damaged"):
        read(packed)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (0, "does not begin as one"),
        (4, "has version 254"),
        (8, "its header tells"),
        (12, "does not begin as one"),
        (16, "its header tells"),
        (40, "does not begin as one"),
        (64, "no valid kind"),
        (72, "no valid kind"),
        (80, "do not lie one after another"),
        (87, "do not lie one after another"),
        (88, "do not lie one after another"),
        (95, "do not lie one after another"),
        (170, "is not zero"),
        (-1, "is not zero"),
    ],
)
def test_damage_to_the_frame_is_told(place, why):
    packed = join(some())
    packed[place] = 255 - packed[place]
    with pytest.raises(FileError, match=why):
        read(packed)


def test_any_other_length_is_told():
    packed = join(some())
    for length in [*range(64), packed.numel() - 64, packed.numel() - 1]:
        with pytest.raises(FileError, match="damaged"):
            read(packed[:length])
    with pytest.raises(FileError, match="damaged"):
        read(torch.cat([packed, packed.new_zeros(64)]))


@pytest.mark.parametrize(
    "wrong", [torch.zeros(64), torch.zeros(8, 8, dtype=torch.uint8), torch.zeros(64, device="meta")]
)
def test_what_is_no_bytes_is_refused(wrong):
    with pytest.raises(FileError, match="uint8 on the CPU with one side"):
        read(wrong)


@given(st.data())
@settings(deadline=None)
def test_any_damage_is_an_error_or_a_sound_container(data):
    packed = join(some())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, packed.numel() - 1))
        packed[place] = data.draw(st.integers(0, 255))
    try:
        weight, *others = [unpack(section) for section in read(packed)]
    except FileError:
        return
    # A damaged number of columns may be that of another matrix with the same entries.
    assert len(weight) == 2
    assert torch.count_nonzero(weight) <= 4
    assert [len(values) for values in others] == [2, 0]


@given(st.lists(st.binary(max_size=200), max_size=5))
@settings(deadline=None)
def test_any_sections_come_back(contents):
    sections = [Section("any_0", torch.tensor(list(c), dtype=torch.uint8)) for c in contents]
    found = read(join(sections))
    assert [bytes(section.data.numpy()) for section in found] == contents


@given(st.binary(max_size=400))
def test_noise_is_no_container(noise):
    with pytest.raises(FileError):
        read(torch.tensor(list(noise), dtype=torch.uint8))
