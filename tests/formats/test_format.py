"""What formats share."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import Bitmask, Csr
from rarefy.formats._format import (
    array_of,
    ascends,
    kept_among,
    lines_of,
    rows_and_columns,
    starts_of,
    words_in,
    zeros_part,
    zeros_size,
)
from rarefy.formats._kept import kept_of


def test_equal_settings_are_equal_formats():
    assert Csr() == Csr()
    assert Csr() != Csr(narrow=True)
    assert str(Csr(narrow=True)) == "csr narrow"
    assert Csr(narrow=True).family == "csr narrow"
    assert Csr().settled(kept_of(torch.ones(2))) == Csr()


def test_what_is_thinned_takes_its_share(tools):
    kept = tools.kept_at((8, 8), *range(16))
    assert Bitmask().thinned(kept, Bitmask().bytes(kept))(16) == Bitmask().bytes(kept) == 8 + 64
    assert Bitmask().thinned(kept, Bitmask().bytes(kept))(4) == 8 + 16


def test_a_part_must_be_there_and_of_its_dtype_and_length():
    arrays = {"a": np.zeros(3, np.int32)}
    assert array_of(arrays, "a", "<i4", 3) is arrays["a"]
    for name, dtype, length, words in (
        ("b", "<i4", None, "found nothing"),
        ("a", "<i8", None, "found int32"),
        ("a", "<i4", 2, "3 entries, not 2"),
    ):
        with pytest.raises(FileError, match=words):
            array_of(arrays, name, dtype, length)
    with pytest.raises(FileError, match="'values'"):
        words_in({"values": np.zeros(3, np.uint16)}, torch.float32)


def test_kept_zeros_are_listed_and_found():
    kept = kept_of(torch.tensor([0.0, 1.0, 0.0]), torch.tensor([True, True, False]))
    arrays = zeros_part(kept)
    assert (arrays["zeros"].tolist(), arrays["zeros"].dtype, zeros_size(kept)) == ([0], "<i4", 4)
    words = np.array([5, 0, 0], np.uint32)
    found = kept_among((3,), torch.float32, np.array([1, 2, 0]), words, arrays)
    assert (found.places.tolist(), found.words.tolist()) == ([0, 1], [0, 5])


@pytest.mark.parametrize("zeros", [[3], [-1], [1, 1], [2, 1], [1]])
def test_zeros_that_cannot_be_are_refused(zeros):
    with pytest.raises(FileError, match="zero"):
        kept_among(
            (3,),
            torch.float32,
            np.array([1]),
            np.array([7], np.uint32),
            {"zeros": np.array(zeros, np.int32)},
        )


def test_ascending():
    assert ascends(np.array([]), 0)
    assert ascends(np.array([0, 2]), 3)
    assert not any(ascends(np.array(n), 3) for n in ([-1, 0], [0, 3], [1, 1], [2, 1]))


def test_lines_and_starts():
    starts = starts_of(np.array([0, 2, 2]), 4)
    assert starts.tolist() == [0, 1, 1, 3, 3]
    assert lines_of(starts, 3).tolist() == [0, 2, 2]
    for wrong in ([1, 3], [0, 2], [0, 4, 3]):
        with pytest.raises(FileError, match="do not rise"):
            lines_of(np.array(wrong), 3)


def test_rows_and_columns(matrix):
    rows, columns = rows_and_columns(kept_of(matrix))
    assert rows.tolist() == [0, 1, 1, 3, 3]
    assert columns.tolist() == [1, 0, 3, 2, 3]
