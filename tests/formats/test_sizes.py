"""Bytes and bits by format."""

import numpy as np
import pytest
import torch

from rarefy.errors import BudgetError, UnknownName
from rarefy.formats import bytes_of, entropy_bits, held, index_bits, pack_bits, smallest

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


def test_patterns_take_fewer_bits():
    # Of 16 x 16, half kept: 128 of 2 bits; 8 full blocks of 16 by 2 bits and 4 starts of 3 bits.
    assert index_bits("2:4", (16, 16), 128) == 256
    assert index_bits("bsr 4x4", (16, 16), 128) == 8 * 2 + 4 * 3
    assert index_bits("bsr 4x4 narrow", (16, 16), 128) == 28


@pytest.mark.parametrize(
    ("sparsity", "width"), [(0.5, 2), (0.8, 4), (0.9, 5), (0.95, 6), (0.98, 8), (0.99, 9)]
)
def test_the_survey_s_best_widths_of_padded_delta(sparsity, width):
    count = round(SIZE * (1 - sparsity))
    best = index_bits("run_length", (SIDE, SIDE), count, 8)
    assert index_bits(f"run_length {width}", (SIDE, SIDE), count, 8) == best


def test_delta_at_random():
    # p = 1/2 and width 2: a value takes 1 / (1 - 1/8) fields of 2 bits; width 1 is the bitmask.
    assert index_bits("delta 2", (SIDE, SIDE), SIZE // 2) == round(SIZE / 2 * 2 * 8 / 7)
    assert index_bits("delta 1", (SIDE, SIDE), SIZE // 2) == SIZE
    assert index_bits("delta", (SIDE, SIDE), 0) == 0
    least = entropy_bits(SIZE, SIZE // 100)
    assert least < index_bits("delta", (SIDE, SIDE), SIZE // 100) < 1.08 * least


def test_entropy():
    assert entropy_bits(16, 8) == 16
    assert entropy_bits(8, 2) == pytest.approx(2 * 2 + 6 * np.log2(4 / 3))
    assert entropy_bits(16, 0) == entropy_bits(16, 16) == entropy_bits(0, 0) == 0


def bits(form: str, nonzero: int, width: int) -> int:
    values = SIZE if form == "dense" else nonzero
    return index_bits(form, (SIDE, SIDE), nonzero, width) + values * width


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
        ("dense", "coo", 8, 77.1),
        ("dense", "coo", 16, 62.8),
        ("dense", "coo", 32, 45.8),
        ("bitmask", "run_length", 8, 75.9),
        ("bitmask", "run_length", 16, 76.7),
        ("bitmask", "run_length", 32, 80.1),
    ],
)
def test_where_one_format_overtakes_another(first, second, width, expected):
    assert crossing(first, second, width) == pytest.approx(expected, abs=0.06)


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
    assert smallest((0,), 0, 4) == ("dense", 0)
    # At 90 % gaps of four bits take half of what bits take.
    name, size = smallest((1000, 1000), 100_000, 4)
    assert (name, size - 400_000) == ("delta", 62_964)
    assert smallest((1000, 1000), 700_000, 4) == ("bitmask", 125_000 + 2_800_000)


def test_delta_must_save_more_than_its_record_takes():
    assert held({"dense": 1000, "bitmask": 500, "delta": 468}) == "bitmask"
    assert held({"dense": 1000, "bitmask": 500, "delta": 467}) == "delta"
    assert held({"dense": 500, "bitmask": 500, "delta": 467}) == "delta"
    assert held({"dense": 500, "bitmask": 500, "delta": 500}) == "dense"


def test_a_wrong_name_or_count_is_refused():
    with pytest.raises(UnknownName, match="no format 'blob'"):
        bytes_of("blob", (2, 2), 1, 4)
    with pytest.raises(UnknownName, match="no format 'bitmap'"):
        index_bits("bitmap", (2, 2), 1)
    with pytest.raises(UnknownName, match="no ideal formula for packed"):
        index_bits("packed", (2, 2), 1)
    with pytest.raises(BudgetError, match="holds 0 to 4 values, not 5"):
        bytes_of("dense", (2, 2), 5, 4)
    with pytest.raises(BudgetError, match="not -1"):
        index_bits("coo", (2, 2), -1)
