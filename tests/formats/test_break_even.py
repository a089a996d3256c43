"""Where one format takes over from another."""

import pytest

from rarefy.errors import UnknownName
from rarefy.formats import Bsr, break_even, bytes_of
from rarefy.formats._break_even import last_count

SHAPE = (1000, 1000)


@pytest.mark.parametrize(
    ("first", "second", "itemsize", "expected"),
    [
        # With int32 columns: of 4 + 4 bytes half must go, of 2 + 4 two thirds.
        ("dense", "csr", 4, 0.5005),
        ("dense", "csr", 2, 0.6673),
        ("dense", "csr", 1, 0.8008),
        ("dense", "coo", 4, 2 / 3),
        ("dense", "bitmask", 4, 1 / 32),
        ("dense", "bitmask", 2, 1 / 16),
        ("dense", "bitmask", 1, 1 / 8),
        ("bitmask", "csr narrow", 4, 0.9019),  # 0.1 - 20 bits a row: columns take 10 bits
        ("bitmask", "coo narrow", 4, 0.95),  # places take 20 bits
        ("bitmask", "delta", 4, 0.6181),
        ("dense", "2:4", 4, 0.5),
        ("dense", "delta", 4, 0.0313),
        ("coo", "csr", 4, 0.0),
        ("csr", "coo", 4, 0.999),
        ("delta", "csr", 4, None),
    ],
)
def test_known_crossings(first, second, itemsize, expected):
    found = break_even(first, second, SHAPE, itemsize)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.0011))


def test_it_is_the_first_count_at_which_the_second_is_smaller():
    sparsity = break_even("bitmask", "csr narrow", (100, 100), 4)
    count = round(10_000 * (1 - sparsity))

    def gain(number):
        sizes = [bytes_of(name, (100, 100), number, 4) for name in ("bitmask", "csr narrow")]
        return sizes[0] - sizes[1]

    assert gain(count) > 0 >= gain(count + 1)


def test_above_a_sparsity():
    assert break_even("dense", "bitmask", SHAPE, 4, above=0.9) == pytest.approx(0.9)
    assert break_even("bitmask", "dense", SHAPE, 4) == 0.0
    assert break_even("bitmask", "dense", SHAPE, 4, above=0.04) is None
    assert break_even(Bsr(2, 2), "delta", (0, 4), 4) is None


def test_a_format_that_does_not_exist_is_refused():
    with pytest.raises(UnknownName, match="no format"):
        break_even("dense", "sparse", SHAPE, 4)


def test_last_count():
    assert last_count(lambda n: 10.0 * n, lambda n: 5.0 * n + 100, 1000) == 1000
    assert last_count(lambda _: 100.0, lambda n: n / 1.0, 1000) == 99
    assert last_count(lambda _: 100.0, lambda _: 100.0, 1000) is None
    assert last_count(lambda _: 1.0, lambda _: 0.0, 0) == 0
