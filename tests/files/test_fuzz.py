"""Damaged files by the thousand: each is refused, or read as what it was."""

import json
import random
import struct

import pytest

import rarefy
from rarefy.errors import FileError
from rarefy.files import read

FILES = 5_000
ODD = (
    *(None, True, -1, 0, 1, 7, 8, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5, float("inf"), ""),
    *(
        "F32",
        "U8",
        "BF16",
        "bits",
        "none",
        "dense",
        "bitmask",
        "delta",
        "0.weight",
        "\x00",
        "\ud800",
    ),
    *([], {}, [0], [0, 0], [-1, 8], [2**40, 2**40], [[]], {"a": 1}),
)


def flip(data, rng):
    """One to four bits, anywhere."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def truncate(data, rng):
    return data[: rng.randrange(len(data))]


def splice(data, rng):
    """A piece cut out, doubled, moved over another, zeroed, or noise put in."""
    begin = rng.randrange(len(data))
    end = min(len(data), begin + rng.choice((1, 2, 4, 8, 64, 1024)))
    at = rng.randrange(len(data))
    piece = data[begin:end]
    return rng.choice(
        (
            data[:begin] + data[end:],
            data[:at] + piece + data[at:],
            data[:at] + piece + data[at + len(piece) :],
            data[:begin] + bytes(end - begin) + data[end:],
            data[:at] + rng.randbytes(end - begin) + data[at:],
            data + rng.randbytes(end - begin),
        )
    )


def lengthen(data, rng):
    """Another length of the header."""
    (length,) = struct.unpack("<Q", data[:8])
    other = rng.choice(
        (length + rng.randint(-64, 64), rng.randrange(2**64), 2**63, 0, 1, len(data))
    )
    return struct.pack("<Q", max(0, other) % 2**64) + data[8:]


def edit(value, rng):
    """One change somewhere in a JSON value, in place."""
    places = list(_places(value))
    holder, key = rng.choice(places)
    action = rng.randrange(5)
    if action == 0:
        del holder[key]
    elif action == 1:
        holder[key] = rng.choice(ODD)
    elif action == 2:
        other, from_key = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[from_key]))
    elif action == 3 and type(holder[key]) is int:
        holder[key] += rng.choice((-8, -1, 1, 2, 8, 2**32))
    elif isinstance(holder, dict):
        holder[rng.choice((key + "x", "__metadata__", "0.bias", "", "x.rarefy.mask"))] = holder[key]
    else:
        holder.insert(key, holder[key])


def _places(value):
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def edit_container(data, rng, tools):
    header, tensors = tools.split(data)
    edit(header, rng)
    return tools.join(header, tensors)


def edit_ours(data, rng, tools):
    """Our own header, with its checksum made right: what a hostile writer would do."""
    return tools.forge(data, lambda content: edit(content, rng))


def twice(data, rng, tools):
    """A name that stands twice in the header's text."""
    header, tensors = tools.split(data)
    key = rng.choice(list(header))
    entry = json.dumps({key: header[rng.choice(list(header))]})[1:-1]
    text = (json.dumps(header)[:-1] + "," + entry + "}").encode()
    return struct.pack("<Q", len(text)) + text + tensors


def damaged(data, rng, tools):
    kind = rng.choices(range(7), weights=(30, 8, 12, 4, 20, 24, 2))[0]
    if kind < 4:
        return (flip, truncate, splice, lengthen)[kind](data, rng)
    return (edit_container, edit_ours, twice)[kind - 4](data, rng, tools)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bits", "gaps"])
def test_five_thousand_damaged_files(kind, request, tools, tmp_path):
    fixtures, build = {
        "bits": (("net", "saved"), tools.build_net),
        "gaps": (("wide", "saved_wide"), tools.build_wide),
    }[kind]
    model, saved = map(request.getfixturevalue, fixtures)
    rng = random.Random(0)
    original = saved.read_bytes()
    contents = read(saved)
    assert contents.version == {"bits": 1, "gaps": 2}[kind]
    tensors, masks = dict(contents.tensors), dict(contents.masks)
    state = model.state_dict()
    fresh = build()
    before = values(fresh)
    refused = longest = 0
    for number in range(FILES):
        where = f"file {number}"
        path = tmp_path / str(number)  # a new one: writing an old one anew would wait for the disk
        path.write_bytes(damaged(original, rng, tools))
        try:
            found = read(path)
            equal(tensors, dict(found.tensors), tools, where)
            equal(masks, dict(found.masks), tools, where)
        except FileError as error:
            longest = max(longest, len(str(error)))
            refused += 1
        try:
            rarefy.load(path, fresh)
        except FileError:
            equal(before, fresh.state_dict(), tools, where)
        else:
            equal(state, fresh.state_dict(), tools, where)
            fresh = build()
            before = values(fresh)
        path.unlink()
    assert longest < 1_000
    assert 0.9 * FILES < refused < FILES  # some damage, as to the word "pt", does no harm


def values(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def equal(wanted, found, tools, where):
    assert set(wanted) == set(found), where
    for key, tensor in wanted.items():
        assert tools.same(tensor, found[key]), f"{where}: {key}"


@pytest.mark.parametrize("saved_in", ["saved", "saved_wide"])
@pytest.mark.parametrize("place", ["length", "first brace", "comma", "checksum", "value", "bits"])
def test_a_flipped_bit_in_each_part(saved_in, request, place):
    saved = request.getfixturevalue(saved_in)
    data = bytearray(saved.read_bytes())
    at = {
        "length": 0,
        "first brace": 8,
        "comma": data.index(b","),
        "checksum": data.index(b'"rarefy.checksum":"') + 20,
        "value": len(data) - 40,
        "bits": len(data) - 1,
    }[place]
    data[at] ^= 1
    saved.write_bytes(data)
    with pytest.raises(FileError):
        dict(read(saved).tensors)
