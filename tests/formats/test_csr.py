"""Compressed sparse rows."""

import numpy as np
import pytest
import torch

from rarefy.errors import FileError
from rarefy.formats import Csr, encode

PARTS = {"values": [1, 2, 3], "columns": [1, 0, 3], "starts": [0, 1, 3]}


def test_by_hand(matrix, tools):
    assert tools.stored(matrix, "csr") == {
        "values": [1, 2, 3, 4, 5],
        "columns": [1, 0, 3, 2, 3],
        "starts": [0, 1, 3, 3, 5],
    }
    assert encode(matrix, "csr").bytes == 5 * 8 + 5 * 4


def test_narrow_by_hand(matrix, tools):
    # Five columns of 2 bits, 10 bits; five starts below 6 of 3 bits, 15 bits.
    found = tools.stored(matrix, "csr narrow")
    assert found["columns"] == [1 + (0 << 2) + (3 << 4) + ((2 & 3) << 6), 3]
    starts = 0 + (1 << 3) + (3 << 6) + (3 << 9) + (5 << 12)
    assert found["starts"] == [starts & 255, starts >> 8]
    assert encode(matrix, "csr narrow").bytes == 20 + 2 + 2


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_torch_reads_it(matrix, tools):
    found = tools.stored(matrix, "csr")
    parts = found["starts"], found["columns"], found["values"]
    ours = torch.sparse_csr_tensor(*parts, (4, 4), check_invariants=True)
    assert torch.equal(ours.to_dense(), matrix.long())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": [1, 0, 4]}, "not among the 4"),
        ({"columns": [1, 0, -1]}, "not among the 4"),
        ({"columns": [1, 3, 3]}, "do not ascend"),
        ({"columns": [1, 3, 0]}, "do not ascend"),
        ({"columns": [1, 0]}, "2 entries, not 3"),
        ({"starts": [0, 1, 4]}, "do not rise"),
        ({"starts": [0, 4, 3]}, "do not rise"),
        ({"starts": [0, 3]}, "2 entries, not 3"),
        ({"values": [1, 2]}, "3 entries, not 2"),
    ],
)
def test_what_cannot_be_is_refused(changes, words, tools):
    arrays = {
        name: array if name == "values" else np.array(array, np.int32)
        for name, array in (PARTS | changes).items()
    }
    with pytest.raises(FileError, match=words):
        tools.read_back(Csr(), (2, 4), arrays)


def test_what_can_be_is_read(tools):
    arrays = {n: a if n == "values" else np.array(a, np.int32) for n, a in PARTS.items()}
    assert tools.read_back(Csr(), (2, 4), arrays) == ([1, 4, 7], [1, 2, 3])


def test_narrow_fields_may_say_more_than_there_is(tools):
    # A start of 3 fits in two bits, but there are two values; a column of 3 where there are three.
    arrays = {"values": [1, 2], "columns": np.array([0b0100], np.uint8)}
    starts = {"starts": np.array([0b111000], np.uint8)}
    with pytest.raises(FileError, match="do not rise"):
        tools.read_back(Csr(narrow=True), (2, 3), arrays | starts)
    arrays |= {"columns": np.array([0b1100], np.uint8), "starts": np.array([0b101000], np.uint8)}
    with pytest.raises(FileError, match="not among the 3"):
        tools.read_back(Csr(narrow=True), (2, 3), arrays)
