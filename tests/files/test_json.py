"""JSON of strangers: sound text is read, all other refused, at little cost."""

import tracemalloc

import pytest

from rarefy.errors import FileError
from rarefy.files._json import brief, is_shape, parsed, whole


def test_an_object_is_read():
    assert parsed(b'{"a":[1,[2]]}', "it") == {"a": [1, [2]]}


REFUSED = {
    "cut": (b"{", "it is no JSON"),
    "no UTF-8": (b'{"\xff":1}', "it is no JSON"),
    "a list": (b"[1]", "it is no JSON object"),
    "leading space": (b" {}", "it is no JSON object"),
    "deep": (b'{"a":' + b"[" * 100_000, "it is no JSON"),
    "long number": (b'{"a":' + b"9" * 10_000 + b"}", "it is no JSON"),
    "twice": (b'{"a":{},"a":{}}', "^it has a twice"),
    "twice inside": (b'{"b":{"a":"","a":""}}', "^it has a twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(case):
    text, words = REFUSED[case]
    with pytest.raises(FileError, match=words):
        parsed(text, "it")


@pytest.mark.parametrize("part", [b"{}", b"[]"])
def test_a_bomb_takes_little_memory(part):
    text = b'{"a":[' + (part + b",") * 3_000_000 + part + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match="more than 1000000 parts"):
            parsed(text, "it")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_a_stranger_wrote_is_shown_in_brief():
    assert brief("a\x1b[31m") == "a\\x1b[31m"
    assert len(brief("x" * 10_000)) == 80
    assert brief("\ud800") == "\\ud800"


def test_whole_numbers():
    assert whole(0)
    assert not any(map(whole, (-1, True, 1.0, "1", 2**62, None)))


def test_shapes():
    assert is_shape([])
    assert is_shape([0, 2**40])
    assert not is_shape((1,))
    assert not is_shape([2**62])
    assert not is_shape([0, 2**40, 2**40])
    assert not is_shape([1] * 65)
