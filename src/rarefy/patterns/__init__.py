"""In which shape: what a mask keeps or drops as one unit."""

from rarefy.patterns._axis import Column, Row
from rarefy.patterns._block import Block
from rarefy.patterns._n_of_m import NofM
from rarefy.patterns._pattern import Pattern
from rarefy.patterns._unstructured import Unstructured
from rarefy.patterns._words import parse

__all__ = [
    "Block",
    "Column",
    "NofM",
    "Pattern",
    "Row",
    "Unstructured",
    "parse",
]
