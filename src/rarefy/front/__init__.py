"""The verbs of the public face: wiring only."""

from rarefy.front._hold import hold
from rarefy.front._sparsify import sparsify

__all__ = [
    "hold",
    "sparsify",
]
