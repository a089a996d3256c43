"""How to pick: one number per weight, higher is kept.

A score is a pure function of evidence by name, in the matrix view: groups x outputs x inputs x
kernel. One that draws numbers takes a ``generator`` besides.
"""

from rarefy.scores._data_free import magnitude, random
from rarefy.scores._gradient import gradient, taylor

__all__ = [
    "gradient",
    "magnitude",
    "random",
    "taylor",
]
