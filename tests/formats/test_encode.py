"""Every format, there and back, and as large as predicted."""

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rarefy.errors import FileError
from rarefy.formats import Encoded, decode, encode, parse
from rarefy.formats._kept import kept_of

NAMES = (
    *("dense", "bitmask", "csr", "csr narrow", "coo", "coo narrow", "bsr 4x4", "bsr 3x2 narrow"),
    *("delta", "delta 1", "delta 3", "run_length", "run_length 2", "packed"),
)
SHAPES = [(), (0,), (1,), (7,), (300,), (5, 3), (0, 3), (3, 0), (31, 40), (6, 5, 3, 3)]
DTYPES = [
    *(torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int8, torch.bool),
    *(torch.int64, torch.complex64),
]


def same(one, other):
    return (
        one.dtype == other.dtype
        and one.shape == other.shape
        and bytes(one.contiguous().reshape(-1).view(torch.uint8).numpy())
        == bytes(other.contiguous().reshape(-1).view(torch.uint8).numpy())
    )


def there_and_back(weight, mask, name):
    encoded = encode(weight, name, mask)
    found, kept = decode(encoded)
    assert same(found, torch.where(mask, weight, torch.zeros((), dtype=weight.dtype)))
    assert torch.equal(kept, mask)
    facts = kept_of(weight, mask)
    assert encoded.bytes == parse(name).bytes(facts) == encoded.format.bytes(facts)


@pytest.mark.parametrize("name", NAMES)
def test_exact_and_as_large_as_predicted(name):
    generator = torch.Generator().manual_seed(0)
    for shape, density in itertools.product(SHAPES, (0.0, 0.02, 0.3, 1.0)):
        mask = torch.rand(shape, generator=generator) < density
        weight = torch.randn(shape, generator=generator) * mask
        there_and_back(weight, mask, name)
        # Some of the kept are zero.
        there_and_back(weight * (torch.rand(shape, generator=generator) < 0.7), mask, name)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_every_dtype(name):
    mask = torch.arange(60).reshape(6, 10) % 7 < 2
    for dtype in DTYPES:
        weight = (torch.arange(60).reshape(6, 10) * mask).to(dtype)
        there_and_back(weight, mask, name)


@pytest.mark.parametrize("name", [*NAMES, "2:4"])
def test_odd_values_keep_their_bits(name):
    weight = torch.zeros(2, 8)
    weight[0, 1], weight[0, 7], weight[1, 2] = -0.0, float("inf"), 1e-45
    weight[1, 5] = torch.tensor(0x7F800001, dtype=torch.int32).view(torch.float32)
    found, mask = decode(encode(weight, name))
    assert same(found, weight)
    assert mask.nonzero().tolist() == [[0, 1], [0, 7], [1, 2], [1, 5]]


def test_strides_and_a_removed_minus_zero():
    weight = torch.arange(12.0).reshape(3, 4).T
    mask = weight > 3
    found, _ = decode(encode(torch.where(mask, weight, -0.0), "csr", mask))
    assert same(found, torch.where(mask, weight, 0.0))
    assert found.is_contiguous()


gaps = st.lists(st.one_of(st.integers(1, 4), st.integers(1, 700)), max_size=40)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(gaps, st.integers(0, 300), st.sampled_from(NAMES), st.integers(1, 12))
def test_any_gaps(gaps, tail, name, rows):
    size = -(-(sum(gaps) + tail) // rows) * rows
    weight = torch.zeros(size)
    places = torch.tensor(gaps, dtype=torch.int64).cumsum(0) - 1
    weight[places] = torch.arange(1.0, len(gaps) + 1)
    weight = weight.reshape(rows, -1) if size else weight
    there_and_back(weight, weight != 0, name)


@pytest.mark.parametrize("name", [*NAMES, "2:4"])
def test_damaged_parts_are_refused_or_a_weight(name):
    """No damage reads beyond anything, and what is read is a sound weight."""
    rng, number = random.Random(0), np.random.default_rng(0)
    mask = torch.arange(120).reshape(10, 12) % 5 == 1
    encoded = encode(torch.arange(120.0).reshape(10, 12) * mask, name)
    refused = 0
    for _ in range(60):
        parts = {key: part.clone() for key, part in encoded.parts.items()}
        key = rng.choice([key for key in parts if key != "values" or len(parts) == 1])
        if len(parts[key]) and rng.random() < 0.8:
            data = parts[key].view(torch.uint8)
            data[rng.randrange(len(data))] = int(number.integers(256))
        else:
            parts[key] = parts[key][: rng.randrange(len(parts[key]) + 1)]
        shape = rng.choice(((10, 12), (10, 12), (12, 10), (5, 24), (11, 12), (2**31, 2**20)))
        try:
            found, kept = decode(Encoded(encoded.format, shape, encoded.dtype, parts))
        except (FileError, MemoryError):
            refused += 1
            continue
        assert found.shape == kept.shape == shape
        assert not found[~kept].any()
    assert refused
