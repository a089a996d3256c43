"""Layers of which only the living weights exist: values and their topology, no dense weight."""

from rarefy.layers._compress import compressed, supports
from rarefy.layers._compressed import Change, Compressed
from rarefy.layers._conv2d import SparseConv2d
from rarefy.layers._linear import SparseLinear

__all__ = [
    "Change",
    "Compressed",
    "SparseConv2d",
    "SparseLinear",
    "compressed",
    "supports",
]
