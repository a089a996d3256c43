"""The verbs of the public face: wiring only."""

from rarefy.front._accelerate import accelerate
from rarefy.front._hold import hold
from rarefy.front._load import load
from rarefy.front._save import save
from rarefy.front._sparsify import sparsify

__all__ = [
    "accelerate",
    "hold",
    "load",
    "save",
    "sparsify",
]
