"""Formats by name."""

import pytest

from rarefy.errors import FileError, PatternError, UnknownName
from rarefy.formats import Bsr, Coo, Csr, Delta, NofM, RunLength, parse

NAMES = (
    *("dense", "bitmask", "csr", "csr narrow", "coo", "coo narrow", "bsr 4x1", "bsr 2x8 narrow"),
    *("delta", "delta 5", "run_length", "run_length 4", "2:4", "packed"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_format_says_its_name(name):
    assert str(parse(name)) == name


def test_words_and_values():
    assert parse(" CSR ") == Csr()
    assert parse("coo narrow") == Coo(narrow=True)
    assert parse("bsr 2x8 narrow") == Bsr(2, 8, narrow=True)
    assert (parse("delta"), parse("delta 5")) == (Delta(), Delta(5))
    assert parse("run_length 4") == RunLength(4)
    assert parse("1 : 4") == NofM(1, 4)


def test_others_are_refused():
    with pytest.raises(UnknownName, match=r"no format 'bitmusk'\. Did you mean 'bitmask'\?"):
        parse("bitmusk")
    with pytest.raises(PatternError, match="4:2"):
        parse("4:2")
    with pytest.raises(FileError, match="not 20"):
        parse("delta 20")
