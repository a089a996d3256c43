"""Numbers as people read them."""

import pytest

from rarefy.reports import _numbers as show


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.00 %"), (0.9, "90.00 %"), (1e-7, "<0.01 %"), (0.999999, ">99.99 %"), (1, "100.00 %")],
)
def test_not_quite_all_or_nothing_never_looks_like_it(share, text):
    assert show.percent(share) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1_064_800, "1.06 MB"), (999_999, "1.00 MB")],
)
def test_sizes(number, text):
    assert show.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.50 s"), (0.00123, "1.23 ms"), (84.9e-6, "84.9 µs"), (5e-9, "5.00 ns"), (0, "0 ns")],
)
def test_durations(seconds, text):
    assert show.duration(seconds) == text


def test_the_rest():
    assert show.count(266200) == "266,200"
    assert show.work(532_400) == "532 kFLOP"
    assert show.value(0.97979) == "0.9798"
    assert show.sides((300, 64)) == "300 " + show.TIMES + " 64"
