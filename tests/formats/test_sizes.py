"""Bytes and bits by format."""

import numpy as np
import pytest
import torch

from rarefy.errors import BudgetError, UnknownName
from rarefy.formats import bytes_of, index_bits, pack_bits, smallest

SIDE = 10_000
SIZE = SIDE * SIDE


def test_the_lecture_s_example():
    # A 4 x 4 matrix with 5 values: 16 bits; 5 x 4 bits; 5 x 2 bits and 4 x ceil(log2 5) bits.
    assert index_bits("bitmask", (4, 4), 5) == 16
    assert index_bits("coo", (4, 4), 5) == 20
    assert index_bits("csr", (4, 4), 5) == 22
    assert index_bits("dense", (4, 4), 5) == 0


@pytest.mark.parametrize(("shape", "nonzero"), [((1,), 1), ((4, 4), 0), ((0, 3), 0), ((), 1)])
def test_index_bits_where_a_logarithm_would_not_be_defined(shape, nonzero):
    assert index_bits("coo", shape, nonzero) == 0
    assert index_bits("csr", shape, nonzero) == 0


def bits(form: str, nonzero: int, width: int) -> int:
    values = SIZE if form == "dense" else nonzero
    return index_bits(form, (SIDE, SIDE), nonzero) + values * width


def crossing(first: str, second: str, width: int) -> float:
    """Sparsity, in per cent, from which on ``second`` is the smaller."""
    low, high = 0, SIZE  # second is smaller with low values, not with high ones
    while high - low > 1:
        middle = (low + high) // 2
        if bits(second, middle, width) < bits(first, middle, width):
            low = middle
        else:
            high = middle
    return 100 * (1 - low / SIZE)


@pytest.mark.parametrize(
    ("first", "second", "width", "expected"),
    [
        ("dense", "bitmask", 8, 12.5),
        ("dense", "bitmask", 16, 6.25),
        ("dense", "bitmask", 32, 3.1),
        ("dense", "csr", 8, 63.6),
        ("dense", "csr", 16, 46.7),
        ("dense", "csr", 32, 30.4),
        ("bitmask", "csr", 8, 92.9),
        ("bitmask", "csr", 32, 92.9),
        ("bitmask", "coo", 8, 96.3),
        ("bitmask", "coo", 32, 96.3),
    ],
)
def test_where_one_format_overtakes_another(first, second, width, expected):
    assert crossing(first, second, width) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("shape", [(5, 7), (6, 3, 3, 3), (1, 1), (9, 0), (4, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_bytes_are_those_of_real_arrays(shape, dtype):
    mask = torch.rand(shape) < 0.3
    weight = torch.ones(shape, dtype=dtype)
    kept, width = int(mask.sum()), weight.element_size()
    assert bytes_of("dense", shape, kept, width) == weight.numel() * width
    packed = pack_bits(mask).numpy().nbytes + kept * width
    assert bytes_of("bitmask", shape, kept, width) == packed
    rows, columns = np.nonzero(mask.reshape(shape[0], -1 if mask.numel() else 0).numpy())
    columns = columns.astype(np.int32).nbytes
    starts = np.zeros(shape[0] + 1, np.int32).nbytes
    assert bytes_of("csr", shape, kept, width) == kept * width + columns + starts
    assert bytes_of("coo", shape, kept, width) == kept * width + columns + len(rows) * 4


def test_indices_grow_with_the_matrix():
    long = 2**31
    assert bytes_of("coo", (1, long), 1, 4) == 4 + 4 + 8
    assert bytes_of("csr", (long, 1), long, 1) == long + 4 * long + 8 * (long + 1)
    assert bytes_of("csr", (10,), 3, 4) == 12 + 12 + 2 * 4  # a vector is one row


def test_smallest_is_what_a_file_holds():
    assert smallest((8, 8), 0, 4) == ("bitmask", 8)
    assert smallest((8, 8), 61, 4) == ("bitmask", 8 + 61 * 4)
    assert smallest((8, 8), 62, 4) == ("dense", 256)  # equal: dense
    assert smallest((8, 8), 64, 4) == ("dense", 256)
    # At 99 % CSR would be the smallest, but no file holds it.
    assert bytes_of("csr", (1000, 1000), 1_000, 4) < smallest((1000, 1000), 1_000, 4)[1]
    assert smallest((0,), 0, 4) == ("dense", 0)


def test_a_wrong_name_or_count_is_refused():
    with pytest.raises(UnknownName, match="no format 'blob'"):
        bytes_of("blob", (2, 2), 1, 4)
    with pytest.raises(UnknownName, match="no format 'bitmap'"):
        index_bits("bitmap", (2, 2), 1)
    with pytest.raises(BudgetError, match="holds 0 to 4 values, not 5"):
        bytes_of("dense", (2, 2), 5, 4)
