"""A matrix worked out by hand in every format, and how to store and read made-up parts."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rarefy.formats import encode
from rarefy.formats._kept import kept_of

MATRIX = [[0, 1, 0, 0], [2, 0, 0, 3], [0, 0, 0, 0], [0, 0, 4, 5]]


@pytest.fixture
def matrix():
    """4 x 4, kept at the flat places 1, 4, 7, 14, 15: gaps of 2, 3, 3, 7, 1."""
    return torch.tensor(MATRIX, dtype=torch.float32)


def stored(weight, words, mask=None):
    """Name of a part to its elements as a list."""
    return {name: part.tolist() for name, part in encode(weight, words, mask).parts.items()}


def read_back(form, shape, arrays, dtype=torch.float32):
    """What a decoder makes of arrays that a test made up: places, and values."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if "values" in arrays:
        arrays["values"] = arrays["values"].astype(np.float32).view("<u4")
    kept = form.kept(shape, dtype, arrays)
    return kept.places.tolist(), kept.words.view(np.float32).tolist()


def kept_at(shape, *places):
    """A weight of ones at these flat places, as the formats see it."""
    weight = torch.zeros(math.prod(shape))
    weight[list(places)] = 1
    return kept_of(weight.reshape(shape))


@pytest.fixture
def tools():
    """The functions above, for tests, which cannot import from here."""
    functions = (stored, read_back, kept_at)
    return SimpleNamespace(**{function.__name__: function for function in functions})
